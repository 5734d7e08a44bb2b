// streamattn  forward  flash_wgmma  sm_90a
// query tiles of 128 rows, keys in tiles of 32, mask: k <= q && k < length[batch]
#include "forward/query_tiles.cuh"

namespace streamattn {
struct ProblemScore : ScaledScore {
  static constexpr bool trivial = false;
  static constexpr int range_count = 1;
  int hoisted0;
  ProblemScore() = default;
  SA_DEVICE ProblemScore(const ScoreParams& params, WorkItem item, const Sequence& sequence)
      : ScaledScore(params, item, sequence),
        hoisted0(min(1073741824, max((-1073741824), named_element<int>(params.named.tensors[0], item.batch)))) {}
  SA_DEVICE Span seen(int i, Span q) const { return {first_position, min(q.end, hoisted0)}; }
  SA_DEVICE Span full(Span q, Span keys) const { return {first_position, min((q.begin + 1), hoisted0)}; }
  SA_DEVICE bool keeps(int q, int k, int column) const { return (column <= q - k) & (column <= (hoisted0 - 1) - k); }
};
}

struct Spec {
  using Score = streamattn::ProblemScore;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = false, .kv_packed = false, .kv_paged = true,
      .q_lens = false, .kv_lens = true};
  static constexpr int tile_q = 128, packed_heads = 1, tile_kv = 32, threads = 256;
  static constexpr bool shares_keys = true;
};

extern "C" __global__ void __launch_bounds__(256, 1)
streamattn_query_tiles(const __grid_constant__ streamattn::QueryListingParams params) {
  streamattn::query_tiles<Spec>(params);
}
