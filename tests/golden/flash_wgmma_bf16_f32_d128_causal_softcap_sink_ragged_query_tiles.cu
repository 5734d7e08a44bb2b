// streamattn  forward  flash_wgmma  sm_90a
// query tiles of 128 rows, keys in tiles of 128, mask: k <= q
#include "forward/query_tiles.cuh"

namespace streamattn {
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
  using Score = streamattn::ProblemScore;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = true, .kv_packed = true, .kv_paged = false,
      .q_lens = false, .kv_lens = true};
  static constexpr int tile_q = 128, packed_heads = 1, tile_kv = 128, threads = 256;
};

extern "C" __global__ void __launch_bounds__(256, 1)
streamattn_query_tiles(const __grid_constant__ streamattn::QueryListingParams params) {
  streamattn::query_tiles<Spec>(params);
}
