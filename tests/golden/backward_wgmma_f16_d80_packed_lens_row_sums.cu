// streamattn  backward  backward_wgmma  sm_90a
// sums of dO * O, f16, value_head_dim 80
#include "backward/row_sums.cuh"

struct Spec {
  using Element = streamattn::f16;
  static constexpr int columns = 80, threads = 256;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = true, .kv_packed = true, .kv_paged = false,
      .q_lens = true, .kv_lens = true};
  static constexpr int tile_q = 64, tile_kv = 128;
};

extern "C" __global__ void __launch_bounds__(256)
streamattn_row_sums(const __grid_constant__ streamattn::RowSumParams params) {
  streamattn::row_sums<Spec>(params);
}
