// streamattn  forward  decode_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 128, group 4; mask: k <= q && (k < first || k >= q - window); kv paged; kv_lens
// schedule: 8 rows, 3 stages, 2 blocks a multiprocessor
#include "decode/decode_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 8)

struct ProblemScore : ScaledScore {
  static constexpr bool trivial = false;
  static constexpr int range_count = 2;
  int first_;
  int window_;
  ProblemScore() = default;
  SA_DEVICE ProblemScore(const ScoreParams& params, WorkItem item, const Sequence& sequence)
      : ScaledScore(params, item, sequence),
        first_(params.named.scalars[0]),
        window_(params.named.scalars[1]) {}
  SA_DEVICE Span seen(int i, Span q) const {
    const Span ranges[] = {Span{(q.begin - window_), q.end}, Span{first_position, min(q.end, first_)}};
    return nth(ranges, i);
  }
  SA_DEVICE Span full(Span q, Span keys) const {
    const Span ranges[] = {Span{first_position, min(first_, (q.begin + 1))}, Span{(q.end - window_ - 1), (q.begin + 1)}};
    return most_of(keys, ranges);
  }
  SA_DEVICE bool keeps(int q, int k, int column) const { return (column <= q - k) & ((column <= (first_ - 1) - k) | (column >= (q - window_) - k)); }
};
}

struct Spec {
  using Element = streamattn::bf16;
  using Output = streamattn::bf16;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 4;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = false, .kv_packed = false, .kv_paged = true,
      .q_lens = false, .kv_lens = true};
  static constexpr bool tiles_by_sequence = true;
  static constexpr int pieces_together = 8;
  static constexpr streamattn::DecodeTiling tiling = {
      .head_dim = 128, .value_head_dim = 128, .rows = 8, .stages = 3};
};

extern "C" __global__ void __launch_bounds__(160, 2)
streamattn_forward(const __grid_constant__ streamattn::DecodeParams params) {
  streamattn::decode_wgmma<Spec>(params);
}
