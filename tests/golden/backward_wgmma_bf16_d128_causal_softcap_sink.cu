// streamattn  backward  backward_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 128, group 1; mask: k <= q; score: cap * tanh(score / cap)
// schedule: tile_q 64, 32 registers for loads, 64 for dQ, 208 for dK and dV
#include "backward/backward_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 64)
WGMMA_SHAPE(bf16, 128)

struct ProblemScore : ScaledScore {
  static constexpr bool trivial = false;
  static constexpr bool changes = true;
  static constexpr bool has_slope = true;
  static constexpr int range_count = 1;
  float hoisted0;
  float hoisted1;
  float hoisted2;
  ProblemScore() = default;
  SA_DEVICE ProblemScore(const ScoreParams& params, WorkItem item, const Sequence& sequence)
      : ScaledScore(params, item, sequence),
        hoisted0(__int_as_float(params.named.scalars[0]) * (1.0f * reciprocal_approx(__int_as_float(params.named.scalars[0])))),
        hoisted1(params.scale * reciprocal_approx(__int_as_float(params.named.scalars[0]))),
        hoisted2(__int_as_float(params.named.scalars[0])) {
    scale_log2 = 1.442695041f;
  }
  SA_DEVICE Span seen(int i, Span q) const { return {first_position, q.end}; }
  SA_DEVICE Span full(Span q, Span keys) const { return {first_position, (q.begin + 1)}; }
  SA_DEVICE bool keeps(int q, int k, int column) const { return column <= q - k; }
  SA_DEVICE float change(float s, int q, int k, int column, float element) const { return (hoisted2 * tangent((hoisted1 * s))); }
  SA_DEVICE float slope(float s, int q, int k, int column) const { return (hoisted0 * (1.0f - (tangent((hoisted1 * s)) * tangent((hoisted1 * s))))); }
};
}

struct Spec {
  using Element = streamattn::bf16;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 1;
  static constexpr streamattn::BackwardTiling tiling = {
      .head_dim = 128, .value_head_dim = 128, .tile_q = 64};
  static constexpr int loader_registers = 32, dq_registers = 64, math_registers = 208;
};

extern "C" __global__ void __launch_bounds__(512, 1)
streamattn_backward_wgmma(const __grid_constant__ streamattn::BackwardParams params) {
  streamattn::backward_wgmma<Spec>(params);
}
