// streamattn  forward  decode_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 128, group 4; mask: k <= q; score: cap * tanh(score / cap); sink: sink[head]
// schedule: 8 rows, 3 stages, 2 blocks a multiprocessor in clusters of 4
#include "decode/decode_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 8)

struct ProblemScore : ScaledScore {
  static constexpr bool trivial = false;
  static constexpr bool through_tanh = true;
  static constexpr bool has_sink = true;
  static constexpr int range_count = 1;
  float hoisted0;
  float hoisted1;
  ProblemScore() = default;
  SA_DEVICE ProblemScore(const ScoreParams& params, WorkItem item, const Sequence& sequence)
      : ScaledScore(params, item, sequence),
        hoisted0(named_element<float>(params.named.tensors[0], item.head)),
        hoisted1(params.scale * reciprocal_approx(__int_as_float(params.named.scalars[0]))) {}
  SA_DEVICE Span seen(int i, Span q) const { return {first_position, q.end}; }
  SA_DEVICE Span full(Span q, Span keys) const { return {first_position, (q.begin + 1)}; }
  SA_DEVICE bool keeps(int q, int k, int column) const { return column <= q - k; }
  SA_DEVICE float tangent_factor() const { return hoisted1; }
  SA_DEVICE float sink(int q) const { return hoisted0 * 1.442695041f; }
};
}

struct Spec {
  using Element = streamattn::bf16;
  using Output = streamattn::bf16;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 4;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = false, .kv_packed = false, .kv_paged = false,
      .q_lens = false, .kv_lens = false};
  static constexpr bool tiles_by_sequence = false;
  static constexpr int pieces_together = 8;
  static constexpr streamattn::DecodeTiling tiling = {
      .head_dim = 128, .value_head_dim = 128, .rows = 8, .stages = 3, .cluster = 4};
};

extern "C" __global__ void __launch_bounds__(160, 2)
streamattn_forward(const __grid_constant__ streamattn::DecodeParams params) {
  streamattn::decode_wgmma<Spec>(params);
}
