// streamattn  forward  flash_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 128, group 1; mask: true; score: score + bias:bf16[batch, head, q, k]
// schedule: tile 128 x 96, 3 stages, 2 math warpgroups, ping-pong, exact maximum, Q in registers
#include "forward/flash_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 96)
WGMMA_SHAPE(bf16, 128)

struct ProblemScore : ScaledScore {
  static constexpr bool trivial = true;
  static constexpr bool changes = true;
  static constexpr int range_count = 1;
  NamedTensor bias_;
  int batch;
  int head;
  float hoisted3;
  ProblemScore() = default;
  SA_DEVICE ProblemScore(const ScoreParams& params, WorkItem item, const Sequence& sequence)
      : ScaledScore(params, item, sequence),
        bias_(params.named.tensors[0]),
        batch(item.batch),
        head(item.head),
        hoisted3(params.scale) {
    scale_log2 = 1.442695041f;
  }
  SA_DEVICE Span seen(int i, Span q) const { return {first_position, last_position}; }
  SA_DEVICE Span full(Span q, Span keys) const { return {first_position, last_position}; }
  SA_DEVICE bool keeps(int q, int k, int column) const { return true; }
  template <int N>
  using Elements = KeyElements<bf16, N, 3>;
  SA_DEVICE long long row(int q) const { return named_row(bias_, batch, head, q); }
  template <class Elements>
  SA_DEVICE void load(Elements& elements, const int (&q)[2], int k) const {
    elements.load(bias_, {row(q[0]), row(q[1])}, k);
  }
  static constexpr int element_bytes = 2;
  SA_DEVICE void prefetch(int q, int k) const {
    prefetch_named<bf16, 3>(bias_, row(q), k);
  }
  SA_DEVICE float change(float s, int q, int k, int column, float element) const { return ((hoisted3 * s) + element); }
};
}

struct Spec {
  using Element = streamattn::bf16;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 1;
  static constexpr streamattn::FlashTiling tiling = {
      .head_dim = 128, .value_head_dim = 128,
      .tile_q = 128, .tile_kv = 96, .stages = 3,
      .output = streamattn::OutputPath::buffered, .o_passes = 1};
  static constexpr bool ping_pong = true, q_in_registers = true, stale_reference = false;
  static constexpr int producer_registers = 24, consumer_registers = 240;
  static constexpr bool key_lists = false;
};

extern "C" __global__ void __launch_bounds__(384, 1)
streamattn_forward(const __grid_constant__ streamattn::FlashParams params) {
  streamattn::flash_wgmma<Spec>(params);
}
