// Calls on a GPU, from random tensors to their error against float64.
#pragma once

#include <string>
#include <vector>

#include "measure/backward_case.h"
#include "measure/forward_case.h"
#include "runtime/gpu/driver.h"
#include "streamattn/jit.h"

namespace streamattn {

/// Why GPU tests cannot run here; empty where they can.
std::string no_gpu_reason();

/// The front door that GPU tests share; kernels are compiled, not read from a cache.
Jit& gpu_jit();

/// Device memory filled from the host.
class DeviceBuffer {
 public:
  explicit DeviceBuffer(const std::vector<char>& contents);
  ~DeviceBuffer();
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  void* data() const { return reinterpret_cast<void*>(pointer_); }
  std::vector<char> read() const;

 private:
  CUdeviceptr pointer_ = 0;
  std::size_t bytes_;
};

/// Checks `kernel` on the tensors of a case as a test: as exact as plain attention, every row
/// written and nothing beside them.
void check_case(const ForwardCase& given, const ForwardKernel& kernel);

/// The tensors of a case after one launch of `kernel`.
ForwardTensors result_of(const ForwardCase& given, const ForwardKernel& kernel);

/// The tensors of a case after both passes.
BackwardTensors result_of(const BackwardCase& given);

/// Checks both passes on a case as a test.
void check_case(const BackwardCase& given);

}  // namespace streamattn
