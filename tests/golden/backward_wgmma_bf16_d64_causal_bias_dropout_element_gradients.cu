// streamattn  backward  backward_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 64, group 1; mask: k <= q; score: score + bias:bf16[batch, head, q, k]; dropout
// gradient of "bias" in the score
#include "backward/element_gradients.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 64)

struct ProblemScore : ScaledScore {
  static constexpr bool trivial = false;
  static constexpr bool changes = true;
  static constexpr int range_count = 1;
  float hoisted0;
  int batch;
  int head;
  NamedTensor bias_;
  ProblemScore() = default;
  SA_DEVICE ProblemScore(const ScoreParams& params, WorkItem item, const Sequence& sequence)
      : ScaledScore(params, item, sequence),
        hoisted0(params.scale),
        batch(item.batch),
        head(item.head),
        bias_(params.named.tensors[0]) {
    scale_log2 = 1.442695041f;
  }
  SA_DEVICE Span seen(int i, Span q) const { return {first_position, q.end}; }
  SA_DEVICE Span full(Span q, Span keys) const { return {first_position, (q.begin + 1)}; }
  SA_DEVICE bool keeps(int q, int k, int column) const { return column <= q - k; }
  SA_DEVICE float change(float s, int q, int k, int column, float element) const { return ((hoisted0 * s) + named_element<bf16>(bias_, batch, head, (q + column), k)); }
  static constexpr int element_count = 1;
  SA_DEVICE static constexpr bool is_uniform(int n) { return false; }
  SA_DEVICE float element_slope(int n, float s, int q, int k, int column) const {
    if (n == 0) return 1.0f;
    return 0;
  }
  SA_DEVICE long long element_place(int n, const NamedTensor& to, int q, int k, int column) const {
    if (n == 0) return named_row(to, batch, head, (q + column), k);
    return 0;
  }
};
}

struct Spec {
  using Element = streamattn::bf16;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 1;
  static constexpr streamattn::ElementOwners owners = {
      .batch = true, .head = true, .kv_head = false, .query = true, .key = true};
  static constexpr streamattn::ElementTiling tiling = {
      .head_dim = 64, .value_head_dim = 64};
  static constexpr bool drops = true;
};

extern "C" __global__ void __launch_bounds__(128)
streamattn_element_gradients(const __grid_constant__ streamattn::ElementParams params) {
  streamattn::element_gradients<Spec>(params);
}
