// streamattn  merge  merge_shares  sm_90a
#include "merge/merge_shares.cuh"

struct Spec {
  using Element = streamattn::f16;
  static constexpr int threads = 128;
};

extern "C" __global__ void __launch_bounds__(128, 8)
streamattn_merge_shares(const __grid_constant__ streamattn::MergeParams params) {
  streamattn::merge_shares<Spec>(params);
}
