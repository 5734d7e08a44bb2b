// streamattn  forward  decode_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 128, group 2; mask: true; score: score + bias:bf16[batch, head, q, k]
// schedule: 16 rows, 3 stages, 2 blocks a multiprocessor
#include "decode/decode_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 16)

struct ProblemScore : ScaledScore {
  static constexpr bool trivial = true;
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
  SA_DEVICE Span seen(int i, Span q) const { return {first_position, last_position}; }
  SA_DEVICE Span full(Span q, Span keys) const { return {first_position, last_position}; }
  SA_DEVICE bool keeps(int q, int k, int column) const { return true; }
  SA_DEVICE float change(float s, int q, int k, int column, float element) const { return ((hoisted0 * s) + named_element<bf16>(bias_, batch, head, q, (k + column))); }
};
}

struct Spec {
  using Element = streamattn::bf16;
  using Output = streamattn::bf16;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 2;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = false, .kv_packed = false, .kv_paged = false,
      .q_lens = false, .kv_lens = false};
  static constexpr bool tiles_by_sequence = false;
  static constexpr int pieces_together = 8;
  static constexpr streamattn::DecodeTiling tiling = {
      .head_dim = 128, .value_head_dim = 128, .rows = 16, .stages = 3};
};

extern "C" __global__ void __launch_bounds__(160, 2)
streamattn_forward(const __grid_constant__ streamattn::DecodeParams params) {
  streamattn::decode_wgmma<Spec>(params);
}
