// streamattn  forward  flash_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 128, group 4; mask: k <= q; q packed; kv paged; kv_lens
// schedule: tile 128 x 128, 2 stages, 2 math warpgroups, ping-pong, stale maximum, Q in registers, split keys, rows of 4 heads together
#include "forward/flash_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 128)

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
  using Element = streamattn::bf16;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 4;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = true, .kv_packed = false, .kv_paged = true,
      .q_lens = false, .kv_lens = true};
  static constexpr streamattn::FlashTiling tiling = {
      .head_dim = 128, .value_head_dim = 128,
      .tile_q = 128, .tile_kv = 128, .stages = 2,
      .output = streamattn::OutputPath::partial, .o_passes = 1, .packed_heads = 4, .layout = layout};
  static constexpr bool ping_pong = true, q_in_registers = true, stale_reference = true;
  static constexpr int producer_registers = 56, consumer_registers = 224;
  static constexpr bool key_lists = false;
};

extern "C" __global__ void __launch_bounds__(384, 1)
streamattn_forward(const __grid_constant__ streamattn::FlashParams params) {
  streamattn::flash_wgmma<Spec>(params);
}
