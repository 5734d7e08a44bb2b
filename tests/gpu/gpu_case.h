// One attention call on a GPU, from random tensors to its error against float64.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "measure/random_inputs.h"
#include "measure/reference.h"
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

enum class Order { bshd, bhsd, sbhd };

/// A call to make. Row strides of every tensor are `gap` elements longer than dense ones.
struct GpuCase {
  Problem problem;
  std::int64_t batch = 1, kv_heads = 1, q_len = 1, kv_len = 1;
  Order order = Order::bshd;
  std::int64_t gap = 0;
  Distribution distribution = Distribution::normal;
  std::optional<float> scale = {};
  std::optional<std::int64_t> q_offset = {};
  std::int64_t k_offset = 0;
  std::optional<Rows> q_rows = {}, kv_rows = {};
  int max_sms = 0;
  bool with_lse = true;
  std::uint64_t seed = 1;
  std::int64_t sampled_rows = 4096;  ///< rows compared at most

  Shape shape() const { return {batch, kv_heads, q_len, kv_len}; }
  std::string describe() const;
};

struct GpuResult {
  double error, plain_error;          ///< relative L2 against float64, ours and plain attention's
  double lse_error, plain_lse_error;  ///< largest absolute
  bool untouched;                     ///< nothing outside the asked-for rows was written
  std::vector<char> o, lse;           ///< the raw buffers

  /// Within twice the error of plain attention; the LSE has a floor of float32 rounding of its own
  /// magnitude.
  bool accurate() const;
};

/// Runs `kernel` on the case.
GpuResult run(const GpuCase& c, const ForwardKernel& kernel);

}  // namespace streamattn
