// streamattn  forward  flash_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 64, group 1; mask: k <= q && (k < first || k >= q - window); sink: sink[head]; q_lens; kv_lens
// schedule: tile 192 x 80, 2 stages, 3 math warpgroups, ping-pong, stale maximum, split keys
#include "forward/flash_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 80)
WGMMA_SHAPE(bf16, 64)

struct ProblemScore : ScaledScore {
  static constexpr bool trivial = false;
  static constexpr bool has_sink = true;
  static constexpr int range_count = 2;
  float hoisted0;
  int first_;
  int window_;
  ProblemScore() = default;
  SA_DEVICE ProblemScore(const ScoreParams& params, WorkItem item, const Sequence& sequence)
      : ScaledScore(params, item, sequence),
        hoisted0(named_element<float>(params.named.tensors[0], item.head)),
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
  SA_DEVICE float sink(int q) const { return hoisted0 * 1.442695041f; }
};
}

struct Spec {
  using Element = streamattn::bf16;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 1;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = false, .kv_packed = false, .kv_paged = false,
      .q_lens = true, .kv_lens = true};
  static constexpr streamattn::FlashTiling tiling = {
      .head_dim = 64, .value_head_dim = 64,
      .tile_q = 192, .tile_kv = 80, .stages = 2,
      .output = streamattn::OutputPath::partial, .o_passes = 1, .layout = layout};
  static constexpr bool ping_pong = true, q_in_registers = false, stale_reference = true;
  static constexpr int producer_registers = 56, consumer_registers = 152;
  static constexpr bool key_lists = false;
};

extern "C" __global__ void __launch_bounds__(512, 1)
streamattn_forward(const __grid_constant__ streamattn::FlashParams params) {
  streamattn::flash_wgmma<Spec>(params);
}
