// streamattn  forward  flash_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 128, group 1; mask: k <= q && document[batch, q] == document[batch, k]
// schedule: tile 128 x 64, 2 stages, 2 math warpgroups, ping-pong, stale maximum, key lists
#include "forward/flash_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 64)
WGMMA_SHAPE(bf16, 128)

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
  static constexpr streamattn::FlashTiling tiling = {
      .head_dim = 128, .value_head_dim = 128,
      .tile_q = 128, .tile_kv = 64, .stages = 2,
      .output = streamattn::OutputPath::buffered, .o_passes = 1};
  static constexpr bool ping_pong = true, q_in_registers = false, stale_reference = true;
  static constexpr int producer_registers = 40, consumer_registers = 232;
  static constexpr bool key_lists = true;
};

extern "C" __global__ void __launch_bounds__(384, 1)
streamattn_forward(const __grid_constant__ streamattn::FlashParams params) {
  streamattn::flash_wgmma<Spec>(params);
}
