// What a launch does, step by step: a family's answer to a call. Families make plans, executors
// follow them, and neither knows the other.
#pragma once

#include <llvm/ADT/STLFunctionalExtras.h>
#include <llvm/ADT/SmallVector.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <variant>

#include "compiler/operations/resolved_call.h"
#include "compiler/tensor_map.h"
#include "compiler/workspace.h"
#include "streamattn/schedule.h"
#include "templates/params.h"

namespace streamattn {

/// What a plan may know of the device that it is for.
struct DeviceFacts {
  int multiprocessors;
  std::int64_t l2_bytes;

  /// Makes a tensor map; `name` is for the message of an Error.
  llvm::function_ref<TensorMap(const char* name, const BoxedTensor& tensor)> encode;

  /// So many words in device memory that are zero, and that the launch leaves zero; null where
  /// there are none to be had.
  llvm::function_ref<unsigned*(int count)> zero_words;
};

/// Launches a kernel of the program.
class KernelLaunch {
 public:
  /// Takes a copy of the struct that the kernel takes.
  template <class Parameters>
  KernelLaunch(std::size_t index, unsigned block_count, const Parameters& values,
               bool overlaps = false)
      : kernel(index),
        blocks(block_count),
        overlaps_previous(overlaps),
        parameter_bytes(sizeof(Parameters)) {
    static_assert(std::is_trivially_copyable_v<Parameters> && sizeof(Parameters) <= capacity);
    std::memcpy(parameters_, &values, sizeof(Parameters));
  }

  const void* parameters() const { return parameters_; }

  std::size_t kernel;  ///< index in the program
  unsigned blocks;     ///< along x
  /// Programmatic dependent launch: it may begin while the kernel before it still runs, and waits
  /// for that one's results itself.
  bool overlaps_previous;
  std::size_t parameter_bytes;

 private:
  static constexpr std::size_t capacity = 2048;  // CUDA allows 4 KiB; no kernel needs half
  alignas(64) std::byte parameters_[capacity];
};

/// Sets memory to zero.
struct Clear {
  void* data;
  std::size_t bytes;
};

using Step = std::variant<KernelLaunch, Clear>;

/// Steps that run in order; none where there is nothing to write.
using Plan = llvm::SmallVector<Step, 2>;

/// The plan of the schedule's family for `call`, its scratch memory taken from `workspace`. Pure:
/// it depends on nothing but its arguments. Throws Error (invalid_argument) for what the family's
/// kernels cannot address.
Plan plan(const Problem& problem, const Schedule& schedule, const ResolvedCall& call,
          const DeviceFacts& device, WorkspaceSlices& workspace);

/// Bytes of workspace that the plan takes on a device with these multiprocessors and L2.
std::size_t workspace_bytes(const Problem& problem, const Schedule& schedule,
                            const ResolvedCall& call, int multiprocessors, std::int64_t l2_bytes);

}  // namespace streamattn
