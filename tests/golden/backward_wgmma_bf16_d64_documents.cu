// streamattn  backward  backward_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 64, group 1; mask: k <= q && document[batch, q] == document[batch, k]
// schedule: tile_q 128, 32 registers for loads, 64 for dQ, 208 for dK and dV
#include "backward/backward_wgmma.cuh"

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
  static constexpr streamattn::BackwardTiling tiling = {
      .head_dim = 64, .value_head_dim = 64, .tile_q = 128};
  static constexpr int loader_registers = 32, dq_registers = 64, math_registers = 208;
  static constexpr bool walks_by_bits = true;
};

extern "C" __global__ void __launch_bounds__(512, 1)
streamattn_backward_wgmma(const __grid_constant__ streamattn::BackwardParams params) {
  streamattn::backward_wgmma<Spec>(params);
}
