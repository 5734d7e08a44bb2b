// What the tensors of a launch must be, whatever the operation.
#pragma once

#include <llvm/ADT/ArrayRef.h>
#include <llvm/Support/FormatVariadic.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

#include "streamattn/error.h"
#include "streamattn/named_args.h"
#include "streamattn/tensor.h"

namespace streamattn {

/// Throws Error (invalid_argument) with the formatted message.
template <typename... Values>
[[noreturn]] void refuse_argument(const char* format, Values&&... values) {
  throw Error(ErrorCode::invalid_argument,
              llvm::formatv(format, std::forward<Values>(values)...).str());
}

/// What one dimension of a tensor must be, and why.
struct NeededSize {
  std::string_view dimension;
  std::int64_t found;
  std::int64_t needed;
  std::string_view origin;
};

/// A tensor of a launch by its name.
struct NamedOperand {
  std::string_view name;
  const Tensor& tensor;
};

// All throw Error (invalid_argument) that names the tensor, what was found and what is needed.

void check_type(std::string_view tensor, DType found, DType needed, std::string_view origin);
void check_dimensions(std::string_view tensor, std::initializer_list<NeededSize> sizes);

bool has_elements(const Tensor& tensor);

/// The memory must be there and aligned to its elements, and the bytes between the first and the
/// last element a number that fits.
void check_memory(const NamedOperand& operand);

/// No element of an output may share memory with another element of an output, or with one of an
/// input, an array or a named tensor; none of the workspace with any. Outputs among the named
/// tensors come as `named_outputs`.
void check_overlaps(llvm::ArrayRef<NamedOperand> outputs, llvm::ArrayRef<NamedOperand> inputs,
                    llvm::ArrayRef<TensorArg> arrays, std::span<const TensorArg> named_outputs,
                    std::span<const TensorArg> named, const Workspace& workspace);

}  // namespace streamattn
