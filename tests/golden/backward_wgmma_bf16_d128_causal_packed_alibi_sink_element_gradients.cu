// streamattn  backward  backward_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 128, group 1; mask: k <= q; score: score + slope[head] * (k - q); sink: sink[batch, head]; q packed; kv packed
// gradient of "slope" in the score
#include "backward/element_gradients.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 64)

struct ProblemScore : ScaledScore {
  static constexpr bool trivial = false;
  static constexpr bool changes = true;
  static constexpr int range_count = 1;
  float hoisted0;
  float hoisted1;
  int head;
  ProblemScore() = default;
  SA_DEVICE ProblemScore(const ScoreParams& params, WorkItem item, const Sequence& sequence)
      : ScaledScore(params, item, sequence),
        hoisted0(params.scale),
        hoisted1(named_element<float>(params.named.tensors[0], item.head)),
        head(item.head) {
    scale_log2 = 1.442695041f;
  }
  SA_DEVICE Span seen(int i, Span q) const { return {first_position, q.end}; }
  SA_DEVICE Span full(Span q, Span keys) const { return {first_position, (q.begin + 1)}; }
  SA_DEVICE bool keeps(int q, int k, int column) const { return column <= q - k; }
  SA_DEVICE float change(float s, int q, int k, int column, float element) const { return ((hoisted0 * s) + ((hoisted1 * float(k + q * -1)) + (hoisted1 * -1.0f) * float(column))); }
  static constexpr int element_count = 1;
  SA_DEVICE static constexpr bool is_uniform(int n) { return false || n == 0; }
  SA_DEVICE float element_slope(int n, float s, int q, int k, int column) const {
    if (n == 0) return (float(k + q * -1) + -1.0f * float(column));
    return 0;
  }
  SA_DEVICE long long element_place(int n, const NamedTensor& to, int q, int k, int column) const {
    if (n == 0) return named_row(to, head);
    return 0;
  }
};
}

struct Spec {
  using Element = streamattn::bf16;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 1;
  static constexpr streamattn::ElementOwners owners = {
      .batch = false, .head = true, .kv_head = false, .query = false, .key = false};
  static constexpr streamattn::ElementTiling tiling = {
      .head_dim = 128, .value_head_dim = 128};
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = true, .kv_packed = true, .kv_paged = false,
      .q_lens = false, .kv_lens = false};
  static constexpr int tile_q = 64, tile_kv = 128;
};

extern "C" __global__ void __launch_bounds__(128)
streamattn_element_gradients(const __grid_constant__ streamattn::ElementParams params) {
  streamattn::element_gradients<Spec>(params);
}
