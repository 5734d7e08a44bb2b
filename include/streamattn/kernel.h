// What every kernel can say of itself.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "streamattn/compiler.h"
#include "streamattn/export.h"

namespace streamattn {

/// A CUDA stream (CUstream, cudaStream_t); null is the default stream. Ignored by the CPU target.
using Stream = void*;

/// Runs the calls of a kernel on its device. Internal.
class Executor;

/// Where a kernel comes from.
struct KernelOrigin {
  Operation operation;
  Problem problem;
  Choice choice;
  const Target& target;
  std::vector<KernelResources> resources = {};  ///< of every kernel of the program
  bool from_cache = false;
};

/// What every kernel can say of itself. Immutable and thread-safe; serves one problem at any size.
/// The types for the operations are derived from it and add the launch.
class STREAMATTN_API Kernel {
 public:
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  Operation operation() const { return origin_.operation; }
  const Problem& problem() const { return origin_.problem; }
  const Schedule& schedule() const { return origin_.choice.schedule; }
  const Target& target() const { return origin_.target; }

  /// What each kernel of the program takes, in the order of their launches; empty on the CPU.
  std::span<const KernelResources> resources() const { return origin_.resources; }

  /// Whether every binary came from the disk cache.
  bool from_cache() const { return origin_.from_cache; }

  /// Several lines: problem, schedule and why it was chosen, resources, where the binaries came
  /// from.
  std::string describe() const;

 protected:
  Kernel(KernelOrigin origin, std::unique_ptr<const Executor> executor);
  ~Kernel();

  const Executor& executor() const { return *executor_; }

 private:
  KernelOrigin origin_;
  std::unique_ptr<const Executor> executor_;
};

}  // namespace streamattn
