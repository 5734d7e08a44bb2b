// streamattn  forward  decode_wgmma  sm_90a
// problem:  bf16 -> f32, head_dim 256, group 16; mask: true
// schedule: 16 rows, 3 stages, 1 blocks a multiprocessor in clusters of 16
#include "decode/decode_wgmma.cuh"

namespace streamattn {
WGMMA_SHAPE(bf16, 16)

struct ProblemScore : ScaledScore {
  static constexpr bool trivial = true;
  static constexpr int range_count = 1;
  using ScaledScore::ScaledScore;
  SA_DEVICE Span seen(int i, Span q) const { return {first_position, last_position}; }
  SA_DEVICE Span full(Span q, Span keys) const { return {first_position, last_position}; }
  SA_DEVICE bool keeps(int q, int k, int column) const { return true; }
};
}

struct Spec {
  using Element = streamattn::bf16;
  using Output = float;
  using Score = streamattn::ProblemScore;
  static constexpr int group_size = 16;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = false, .kv_packed = false, .kv_paged = false,
      .q_lens = false, .kv_lens = false};
  static constexpr bool tiles_by_sequence = false;
  static constexpr int pieces_together = 8;
  static constexpr streamattn::DecodeTiling tiling = {
      .head_dim = 256, .value_head_dim = 256, .rows = 16, .stages = 3, .cluster = 16};
};

extern "C" __global__ void __launch_bounds__(160, 1)
streamattn_forward(const __grid_constant__ streamattn::DecodeParams params) {
  streamattn::decode_wgmma<Spec>(params);
}
