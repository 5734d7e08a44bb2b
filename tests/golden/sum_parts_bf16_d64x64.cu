// streamattn  backward  backward_wgmma  sm_90a
// sums of parts of dK and dV, bf16, head_dim 64, value_head_dim 64
#include "backward/sum_parts.cuh"

struct Spec {
  using Element = streamattn::bf16;
  static constexpr int head_dim = 64, value_head_dim = 64;
  static constexpr int tile_kv = 128, threads = 256;
};

extern "C" __global__ void __launch_bounds__(256)
streamattn_sum_parts(const __grid_constant__ streamattn::SumPartsParams params) {
  streamattn::sum_parts<Spec>(params);
}
