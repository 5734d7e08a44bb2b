// streamattn  forward  decode_wgmma  sm_90a
// problem:  bf16 -> bf16, head_dim 128, group 8; mask: k <= q; kv paged; kv_lens
// schedule: 8 rows, 3 stages, 2 blocks a multiprocessor, 128 keys a piece
#include "decode/decode_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 8)

struct ProblemScore : ScaledScore {
  static constexpr bool trivial = false;
  static constexpr int range_count = 1;
  using ScaledScore::ScaledScore;
  SA_DEVICE Span seen(int i, Span q) const { return {first_position, q.end}; }
  SA_DEVICE Span full(Span q, Span keys) const { return {first_position, (q.begin + 1)}; }
  SA_DEVICE bool keeps(int q, int k, int column) const { return column <= q - k; }
};
}

struct Spec {
  using Element = streamattn::bf16;
  using Output = streamattn::bf16;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 8;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = false, .kv_packed = false, .kv_paged = true,
      .q_lens = false, .kv_lens = true};
  static constexpr bool tiles_by_sequence = true;
  static constexpr int pieces_together = 8;
  static constexpr streamattn::DecodeTiling tiling = {
      .head_dim = 128, .value_head_dim = 128, .rows = 8, .stages = 3, .split = 2};
};

extern "C" __global__ void __launch_bounds__(160, 2)
streamattn_forward(const __grid_constant__ streamattn::DecodeParams params) {
  streamattn::decode_wgmma<Spec>(params);
}
