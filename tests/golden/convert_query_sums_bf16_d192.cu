// streamattn  backward  backward_wgmma  sm_90a
// sums of dQ to bf16 or f32, head_dim 192
#include "backward/convert_query_sums.cuh"

struct Spec {
  using Element = streamattn::bf16;
  static constexpr int head_dim = 192;
};

extern "C" __global__ void __launch_bounds__(256)
streamattn_convert_query_sums(const __grid_constant__ streamattn::ConvertParams params) {
  streamattn::convert_query_sums<Spec>(params);
}
