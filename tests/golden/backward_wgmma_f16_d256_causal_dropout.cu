// streamattn  backward  backward_wgmma  sm_90a
// problem:  f16 -> f16, head_dim 256, group 1; mask: k <= q; dropout
// schedule: tile_q 64, 32 registers for loads, 64 for dQ, 208 for dK and dV
#include "backward/backward_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(f16, 64)
WGMMA_SHAPE(f16, 128)

struct ProblemScore : ScaledScore {
  static constexpr bool trivial = false;
  static constexpr int range_count = 1;
  using ScaledScore::ScaledScore;
  SA_DEVICE Span seen(int i, Span q) const { return {first_position, q.end}; }
  SA_DEVICE Span full(Span q, Span keys) const { return {first_position, (q.begin + 1)}; }
  SA_DEVICE bool keeps(int q, int k, int column) const { return column <= q - k; }
};
}

struct Spec {
  using Element = streamattn::f16;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 1;
  static constexpr streamattn::BackwardTiling tiling = {
      .head_dim = 256, .value_head_dim = 256, .tile_q = 64};
  static constexpr int loader_registers = 32, dq_registers = 64, math_registers = 208;
  static constexpr bool drops = true;
};

extern "C" __global__ void __launch_bounds__(512, 1)
streamattn_backward_wgmma(const __grid_constant__ streamattn::BackwardParams params) {
  streamattn::backward_wgmma<Spec>(params);
}
