// streamattn  forward  flash_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 64, group 1; mask: k <= q && document[batch, q] == document[batch, k]; q packed; kv packed
// schedule: tile 192 x 64, 3 stages, 3 math warpgroups, ping-pong, stale maximum
#include "forward/flash_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 64)

struct ProblemScore : ScaledScore {
  static constexpr bool trivial = false;
  static constexpr int range_count = 1;
  int batch;
  NamedTensor document_;
  ProblemScore() = default;
  SA_DEVICE ProblemScore(const ScoreParams& params, WorkItem item, const Sequence& sequence)
      : ScaledScore(params, item, sequence),
        batch(item.batch),
        document_(params.named.tensors[0]) {}
  SA_DEVICE Span seen(int i, Span q) const { return {first_position, q.end}; }
  SA_DEVICE Span full(Span q, Span keys) const { return {0, 0}; }
  SA_DEVICE bool keeps(int q, int k, int column) const { return (column <= q - k) & (named_element<int>(document_, batch, q) == named_element<int>(document_, batch, (k + column))); }
};
}

struct Spec {
  using Element = streamattn::bf16;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 1;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = true, .kv_packed = true, .kv_paged = false,
      .q_lens = false, .kv_lens = false};
  static constexpr streamattn::FlashTiling tiling = {
      .head_dim = 64, .value_head_dim = 64,
      .tile_q = 192, .tile_kv = 64, .stages = 3,
      .output = streamattn::OutputPath::buffered, .o_passes = 1, .layout = layout};
  static constexpr bool ping_pong = true, q_in_registers = false, stale_reference = true;
  static constexpr int producer_registers = 56, consumer_registers = 152;
  static constexpr bool key_lists = false;
};

extern "C" __global__ void __launch_bounds__(512, 1)
streamattn_forward(const __grid_constant__ streamattn::FlashParams params) {
  streamattn::flash_wgmma<Spec>(params);
}
