// streamattn  backward  backward_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 128, group 1; mask: k <= q; score: score + slope[head] * (k - q); q packed; kv packed
// schedule: tile_q 64, 32 registers for loads, 64 for dQ, 208 for dK and dV
#include "backward/backward_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 64)
WGMMA_SHAPE(bf16, 128)

struct ProblemScore : ScaledScore {
  static constexpr bool trivial = false;
  static constexpr bool changes = true;
  static constexpr int range_count = 1;
  float hoisted0;
  float hoisted1;
  ProblemScore() = default;
  SA_DEVICE ProblemScore(const ScoreParams& params, WorkItem item, const Sequence& sequence)
      : ScaledScore(params, item, sequence),
        hoisted0(params.scale),
        hoisted1(named_element<float>(params.named.tensors[0], item.head)) {
    scale_log2 = 1.442695041f;
  }
  SA_DEVICE Span seen(int i, Span q) const { return {first_position, q.end}; }
  SA_DEVICE Span full(Span q, Span keys) const { return {first_position, (q.begin + 1)}; }
  SA_DEVICE bool keeps(int q, int k, int column) const { return column <= q - k; }
  SA_DEVICE float change(float s, int q, int k, int column, float element) const { return ((hoisted0 * s) + ((hoisted1 * float(k + q * -1)) + (hoisted1 * -1.0f) * float(column))); }
};
}

struct Spec {
  using Element = streamattn::bf16;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 1;
  static constexpr streamattn::BackwardTiling tiling = {
      .head_dim = 128, .value_head_dim = 128, .tile_q = 64, .is_packed = true};
  static constexpr int loader_registers = 32, dq_registers = 64, math_registers = 208;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = true, .kv_packed = true, .kv_paged = false,
      .q_lens = false, .kv_lens = false};
};

extern "C" __global__ void __launch_bounds__(512, 1)
streamattn_backward_wgmma(const __grid_constant__ streamattn::BackwardParams params) {
  streamattn::backward_wgmma<Spec>(params);
}
