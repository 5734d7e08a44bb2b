// streamattn  backward  backward_wgmma  sm_90a
// dQ of queries that see no key
#include "backward/clear_unseen.cuh"

struct Spec {
  static constexpr int threads = 256;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = true, .kv_packed = true, .kv_paged = false,
      .q_lens = false, .kv_lens = false};
  static constexpr int tile_q = 64, tile_kv = 128;
};

extern "C" __global__ void __launch_bounds__(256)
streamattn_clear_unseen(const __grid_constant__ streamattn::ClearParams params) {
  streamattn::clear_unseen<Spec>(params);
}
