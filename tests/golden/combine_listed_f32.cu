// streamattn  forward  flash_wgmma  sm_90a
// merges the shares of split keys of listed query tiles, output f32
#include "forward/combine_listed.cuh"

struct Spec {
  using Output = float;
  static constexpr int threads = 128;
};

extern "C" __global__ void __launch_bounds__(128)
streamattn_combine_listed(const __grid_constant__ streamattn::ListedCombineParams params) {
  streamattn::combine_listed<Spec>(params);
}
