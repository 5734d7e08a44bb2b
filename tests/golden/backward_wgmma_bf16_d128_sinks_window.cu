// streamattn  backward  backward_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 128, group 1; mask: k <= q && (k < first || k >= q - window)
// schedule: tile_q 64, 32 registers for loads, 64 for dQ, 208 for dK and dV
#include "backward/backward_wgmma.cuh"

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
  static constexpr streamattn::BackwardTiling tiling = {
      .head_dim = 128, .value_head_dim = 128, .tile_q = 64};
  static constexpr int loader_registers = 32, dq_registers = 64, math_registers = 208;
};

extern "C" __global__ void __launch_bounds__(512, 1)
streamattn_backward_wgmma(const __grid_constant__ streamattn::BackwardParams params) {
  streamattn::backward_wgmma<Spec>(params);
}
