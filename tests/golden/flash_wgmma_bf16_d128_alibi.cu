// streamattn  forward  flash_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 128, group 1; mask: k <= q; score: score + slope[head] * (k - q)
// schedule: tile 192 x 80, 3 stages, 3 math warpgroups, ping-pong, stale maximum
#include "forward/flash_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 80)
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
  SA_DEVICE float change(float s, int q, int k, int column, float element) const { return ((hoisted0 * s) + ((hoisted1 * float((-q) + k)) + hoisted1 * float(column))); }
};
}

struct Spec {
  using Element = streamattn::bf16;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 1;
  static constexpr streamattn::FlashTiling tiling = {
      .head_dim = 128, .value_head_dim = 128,
      .tile_q = 192, .tile_kv = 80, .stages = 3,
      .output = streamattn::OutputPath::buffered, .o_passes = 1};
  static constexpr bool ping_pong = true, q_in_registers = false, stale_reference = true;
  static constexpr int producer_registers = 32, consumer_registers = 160;
  static constexpr bool key_lists = false;
};

extern "C" __global__ void __launch_bounds__(512, 1)
streamattn_forward(const __grid_constant__ streamattn::FlashParams params) {
  streamattn::flash_wgmma<Spec>(params);
}
