// streamattn  backward  backward_wgmma  sm_90a
// sums of parts of dK and dV, f16, head_dim 80, value_head_dim 80
#include "backward/sum_parts.cuh"

struct Spec {
  using Element = streamattn::f16;
  static constexpr int head_dim = 80, value_head_dim = 80;
  static constexpr int tile_kv = 128, threads = 256;
};

extern "C" __global__ void __launch_bounds__(256)
streamattn_sum_parts(const __grid_constant__ streamattn::SumPartsParams params) {
  streamattn::sum_parts<Spec>(params);
}
