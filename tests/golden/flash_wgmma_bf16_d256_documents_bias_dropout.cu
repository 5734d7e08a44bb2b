// streamattn  forward  flash_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 256, group 1; mask: k <= q && document[batch, q] == document[batch, k]; score: score + bias[batch, head, q, k]; dropout
// schedule: tile 128 x 16, 2 stages, 2 math warpgroups, ping-pong, stale maximum, key lists
#include "forward/flash_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 16)
WGMMA_SHAPE(bf16, 256)

struct ProblemScore : ScaledScore {
  static constexpr bool trivial = false;
  static constexpr bool changes = true;
  static constexpr int range_count = 1;
  NamedTensor bias_;
  int batch;
  int head;
  float hoisted3;
  NamedTensor document_;
  ProblemScore() = default;
  SA_DEVICE ProblemScore(const ScoreParams& params, WorkItem item, const Sequence& sequence)
      : ScaledScore(params, item, sequence),
        bias_(params.named.tensors[1]),
        batch(item.batch),
        head(item.head),
        hoisted3(params.scale),
        document_(params.named.tensors[0]) {
    scale_log2 = 1.442695041f;
  }
  SA_DEVICE Span seen(int i, Span q) const { return {first_position, q.end}; }
  SA_DEVICE Span full(Span q, Span keys) const { return {0, 0}; }
  SA_DEVICE bool keeps(int q, int k, int column) const { return (column <= q - k) & (named_element<int>(document_, batch, q) == named_element<int>(document_, batch, (k + column))); }
  template <int N>
  using Elements = KeyElements<float, N, 3>;
  SA_DEVICE long long row(int q) const { return named_row(bias_, batch, head, q); }
  template <class Elements>
  SA_DEVICE void load(Elements& elements, const int (&q)[2], int k) const {
    elements.load(bias_, {row(q[0]), row(q[1])}, k);
  }
  static constexpr int element_bytes = 4;
  SA_DEVICE void prefetch(int q, int k) const {
    prefetch_named<float, 3>(bias_, row(q), k);
  }
  SA_DEVICE float change(float s, int q, int k, int column, float element) const { return ((hoisted3 * s) + element); }
};
}

struct Spec {
  using Element = streamattn::bf16;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 1;
  static constexpr streamattn::FlashTiling tiling = {
      .head_dim = 256, .value_head_dim = 256,
      .tile_q = 128, .tile_kv = 16, .stages = 2,
      .output = streamattn::OutputPath::buffered, .o_passes = 1};
  static constexpr bool ping_pong = true, q_in_registers = false, stale_reference = true;
  static constexpr int producer_registers = 40, consumer_registers = 232;
  static constexpr bool key_lists = true;
  static constexpr bool drops = true;
};

extern "C" __global__ void __launch_bounds__(384, 1)
streamattn_forward(const __grid_constant__ streamattn::FlashParams params) {
  streamattn::flash_wgmma<Spec>(params);
}
