// streamattn  forward  flash_wgmma  sm_90a
// problem:  bf16 -> f32, head_dim 128, group 1; mask: k <= q; score: cap * tanh(score / cap); sink: sink[head]; q packed; kv packed; kv_lens
// schedule: tile 128 x 128, 2 stages, 2 math warpgroups, ping-pong, stale maximum, Q in registers
#include "forward/flash_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 128)

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
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 1;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = true, .kv_packed = true, .kv_paged = false,
      .q_lens = false, .kv_lens = true};
  static constexpr streamattn::FlashTiling tiling = {
      .head_dim = 128, .value_head_dim = 128,
      .tile_q = 128, .tile_kv = 128, .stages = 2,
      .output = streamattn::OutputPath::direct, .o_passes = 1, .layout = layout};
  static constexpr bool ping_pong = true, q_in_registers = true, stale_reference = true;
  static constexpr int producer_registers = 40, consumer_registers = 232;
  static constexpr bool key_lists = false;
};

extern "C" __global__ void __launch_bounds__(384, 1)
streamattn_forward(const __grid_constant__ streamattn::FlashParams params) {
  streamattn::flash_wgmma<Spec>(params);
}
