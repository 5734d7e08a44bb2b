// A cubin loaded on a GPU.
#pragma once

#include "runtime/gpu/device.h"
#include "streamattn/kernel.h"

namespace streamattn {

class GpuKernel final : public Kernel {
 public:
  /// Loads `binary`, compiled from `problem` with `choice`. Throws Error (load_failed).
  GpuKernel(const Problem& problem, const Choice& choice, const Target& target,
            const Binary& binary, bool from_cache, GpuDevice& device);

  void launch(const ForwardArgs& args, Stream stream) const override;

 private:
  GpuDevice& device_;
  CUfunction function_ = nullptr;  // never unloaded: a captured graph may hold it
};

}  // namespace streamattn
