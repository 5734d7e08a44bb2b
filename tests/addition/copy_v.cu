// streamattn  forward  copy_v  sm_90a
// problem:  f32 -> f32, head_dim 24, value_head_dim 20, group 3; mask: true
#include "forward/copy_v.cuh"

struct Spec {
  static constexpr int head_dim = 24, value_head_dim = 20;
  static constexpr int group_size = 3, threads = 64;
};

extern "C" __global__ void __launch_bounds__(64)
streamattn_copy_v(const __grid_constant__ streamattn::CopyVParams params) {
  streamattn::copy_v<Spec>(params);
}
