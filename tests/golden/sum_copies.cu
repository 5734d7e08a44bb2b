// streamattn  backward  backward_wgmma  sm_90a
// sums of copies of a gradient
#include "backward/sum_copies.cuh"

struct Spec {
  static constexpr int threads = 256;
};

extern "C" __global__ void __launch_bounds__(256)
streamattn_sum_copies(const __grid_constant__ streamattn::SumCopiesParams params) {
  streamattn::sum_copies<Spec>(params);
}
