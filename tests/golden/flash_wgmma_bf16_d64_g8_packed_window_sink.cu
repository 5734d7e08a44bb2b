// streamattn  forward  flash_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 64, group 8; mask: k <= q && k >= q - 128; sink: sink[head]
// schedule: tile 192 x 64, 6 stages, 3 math warpgroups, stale maximum, Q in registers, rows of 8 heads together
#include "forward/flash_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 64)

struct ProblemScore : ScaledScore {
  static constexpr bool trivial = false;
  static constexpr bool has_sink = true;
  static constexpr int range_count = 1;
  float hoisted0;
  ProblemScore() = default;
  SA_DEVICE ProblemScore(const ScoreParams& params, WorkItem item, const Sequence& sequence)
      : ScaledScore(params, item, sequence),
        hoisted0(named_element<float>(params.named.tensors[0], item.head)) {}
  SA_DEVICE Span seen(int i, Span q) const { return {(q.begin - 128), q.end}; }
  SA_DEVICE Span full(Span q, Span keys) const { return {(q.end - 129), (q.begin + 1)}; }
  SA_DEVICE bool keeps(int q, int k, int column) const { return (column <= q - k) & (column >= (q - 128) - k); }
  SA_DEVICE float sink(int q) const { return hoisted0 * 1.442695041f; }
};
}

struct Spec {
  using Element = streamattn::bf16;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 8;
  static constexpr streamattn::FlashTiling tiling = {
      .head_dim = 64, .value_head_dim = 64,
      .tile_q = 192, .tile_kv = 64, .stages = 6,
      .output = streamattn::OutputPath::buffered, .o_passes = 1, .packed_heads = 8};
  static constexpr bool ping_pong = false, q_in_registers = true, stale_reference = true;
  static constexpr int producer_registers = 32, consumer_registers = 160;
  static constexpr bool key_lists = false;
};

extern "C" __global__ void __launch_bounds__(512, 1)
streamattn_forward(const __grid_constant__ streamattn::FlashParams params) {
  streamattn::flash_wgmma<Spec>(params);
}
