// A cubin loaded on a GPU.
#pragma once

#include "runtime/gpu/device.h"
#include "streamattn/compiler.h"

namespace streamattn {

/// A kernel that can be launched. Never unloaded: a captured graph may hold it.
class LoadedKernel {
 public:
  /// Loads `binary`, compiled from `source`. Throws Error (load_failed), also where the binary does
  /// not take the parameters that the source says.
  LoadedKernel(const Source& source, const Binary& binary, bool from_cache, GpuDevice& device);

  /// Enqueues `blocks` blocks; with `overlaps_previous` as a programmatic dependent of what is on
  /// the stream. The device's context is current. Throws Error (launch_failed).
  void launch(unsigned blocks, const void* parameters, bool overlaps_previous,
              CUstream stream) const;

  KernelResources resources() const { return {entry_, resources_}; }
  bool from_cache() const { return from_cache_; }

 private:
  std::string entry_;
  Resources resources_;
  unsigned threads_, cluster_;
  bool from_cache_;
  CUfunction function_ = nullptr;
};

}  // namespace streamattn
