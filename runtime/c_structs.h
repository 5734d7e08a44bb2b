// The structs of the C entry points as those of the C++ API.
#pragma once

#include <llvm/ADT/SmallVector.h>

#include <cstring>
#include <string>

#include "streamattn/c_api.h"
#include "streamattn/jit.h"
#include "templates/params.h"

namespace streamattn {

// All throw Error (invalid_argument).

/// The caller's struct, with fields that its version does not have yet zeroed.
template <class Struct>
Struct read(const Struct* given, const char* name) {
  const std::string what = std::string("streamattn_") + name;
  if (!given) throw Error(ErrorCode::invalid_argument, what + " is null");
  if (given->struct_size < sizeof(std::size_t) || given->struct_size > sizeof(Struct)) {
    throw Error(ErrorCode::invalid_argument,
                what + " has struct_size " + std::to_string(given->struct_size) +
                    ", this library knows up to " + std::to_string(sizeof(Struct)));
  }
  Struct copy = {};
  std::memcpy(&copy, given, given->struct_size);
  return copy;
}

template <class Pointer>
void require(Pointer pointer, const char* name) {
  if (!pointer) throw Error(ErrorCode::invalid_argument, std::string(name) + " is null");
}

Problem convert(const streamattn_problem& from);
Shape convert(const streamattn_shape& from);

/// Values of names, with what they point to.
struct ConvertedNames {
  llvm::SmallVector<ScalarArg, NamedValues::most_scalars> scalars;
  llvm::SmallVector<TensorArg, NamedValues::most_tensors> tensors;
};

/// Arguments with what they point to. Not to be moved.
struct ConvertedForward : ForwardArgs {
  explicit ConvertedForward(const streamattn_forward_args& from);

  ConvertedNames names;
};

struct ConvertedBackward : BackwardArgs {
  explicit ConvertedBackward(const streamattn_backward_args& from);

  ConvertedNames names;
  llvm::SmallVector<TensorGradient, NamedValues::most_tensors> gradient_args;
};

/// What streamattn_launch_append and streamattn_launch_merge take.
AppendArgs convert(const streamattn_append_args& from);
MergeArgs convert(const streamattn_merge_args& from);

}  // namespace streamattn
