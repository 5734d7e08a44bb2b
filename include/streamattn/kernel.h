// A kernel loaded on a device.
#pragma once

#include <memory>
#include <string>

#include "streamattn/compiler.h"
#include "streamattn/export.h"
#include "streamattn/tensor.h"

namespace streamattn {

/// A CUDA stream (CUstream, cudaStream_t); null is the default stream. Ignored by the CPU target.
using Stream = void*;

/// An immutable, thread-safe kernel that serves one problem at any size.
class STREAMATTN_API Kernel {
 public:
  virtual ~Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  /// Enqueues one call on `stream`: neither allocates device memory nor synchronises nor touches
  /// the disk, and can be captured into a CUDA graph. The CPU target returns when it is done.
  /// Throws Error (invalid_argument) naming the tensor for a wrong size, stride or alignment, and
  /// (launch_failed).
  virtual void launch(const ForwardArgs& args, Stream stream = nullptr) const = 0;

  const Problem& problem() const { return problem_; }
  const Schedule& schedule() const { return choice_.schedule; }
  const Target& target() const { return target_; }

  /// All zero on the CPU target.
  const Resources& resources() const { return resources_; }

  /// Whether the binary came from the disk cache.
  bool from_cache() const { return from_cache_; }

  /// Several lines: problem, schedule and why it was chosen, resources, where the binary came from.
  std::string describe() const;

 protected:
  Kernel(Problem problem, Choice choice, const Target& target, Resources resources,
         bool from_cache);

 private:
  Problem problem_;
  Choice choice_;
  const Target& target_;
  Resources resources_;
  bool from_cache_;
};

}  // namespace streamattn
