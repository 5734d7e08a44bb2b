// streamattn  forward  flash_wgmma  sm_90a
// merges the shares of split keys, output f16
#include "forward/combine.cuh"

struct Spec {
  using Output = streamattn::f16;
  static constexpr int threads = 128;
};

extern "C" __global__ void __launch_bounds__(128)
streamattn_combine(const __grid_constant__ streamattn::CombineParams params) {
  streamattn::combine<Spec>(params);
}
