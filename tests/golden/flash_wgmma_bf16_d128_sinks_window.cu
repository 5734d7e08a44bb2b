// streamattn  forward  flash_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 128, group 1; mask: k <= q && (k < first || k >= q - window)
// schedule: tile 192 x 64, 3 stages, 3 math warpgroups, ping-pong, stale maximum
#include "forward/flash_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 64)
WGMMA_SHAPE(bf16, 128)

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
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 1;
  static constexpr streamattn::FlashTiling tiling = {
      .head_dim = 128, .value_head_dim = 128,
      .tile_q = 192, .tile_kv = 64, .stages = 3,
      .output = streamattn::OutputPath::buffered, .o_passes = 1};
  static constexpr bool ping_pong = true, q_in_registers = false, stale_reference = true;
  static constexpr int producer_registers = 56, consumer_registers = 152;
  static constexpr bool key_lists = false;
};

extern "C" __global__ void __launch_bounds__(512, 1)
streamattn_forward(const __grid_constant__ streamattn::FlashParams params) {
  streamattn::flash_wgmma<Spec>(params);
}
