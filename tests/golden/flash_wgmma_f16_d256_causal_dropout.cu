// streamattn  forward  flash_wgmma  sm_90a
// problem:  f16 -> f16, head_dim 256, group 1; mask: k <= q; dropout
// schedule: tile 128 x 32, 2 stages, 2 math warpgroups, ping-pong, stale maximum
#include "forward/flash_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(f16, 32)
WGMMA_SHAPE(f16, 256)

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
  static constexpr streamattn::FlashTiling tiling = {
      .head_dim = 256, .value_head_dim = 256,
      .tile_q = 128, .tile_kv = 32, .stages = 2,
      .output = streamattn::OutputPath::buffered, .o_passes = 1};
  static constexpr bool ping_pong = true, q_in_registers = false, stale_reference = true;
  static constexpr int producer_registers = 40, consumer_registers = 232;
  static constexpr bool key_lists = false;
  static constexpr bool drops = true;
};

extern "C" __global__ void __launch_bounds__(384, 1)
streamattn_forward(const __grid_constant__ streamattn::FlashParams params) {
  streamattn::flash_wgmma<Spec>(params);
}
