// streamattn  backward  backward_wgmma  sm_90a
// sums of dO * O, bf16, value_head_dim 128
#include "backward/row_sums.cuh"

struct Spec {
  using Element = streamattn::bf16;
  static constexpr int columns = 128, threads = 256;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = true, .kv_packed = true, .kv_paged = false,
      .q_lens = false, .kv_lens = false};
  static constexpr int tile_q = 64, tile_kv = 64;
};

extern "C" __global__ void __launch_bounds__(256)
streamattn_row_sums(const __grid_constant__ streamattn::RowSumParams params) {
  streamattn::row_sums<Spec>(params);
}
