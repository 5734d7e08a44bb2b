// streamattn  forward  flash_wgmma  sm_90a
// query tiles of 192 rows, keys in tiles of 64, mask: k <= q && document[batch, q] == document[batch, k]
#include "forward/query_tiles.cuh"

namespace streamattn {
struct ProblemScore : ScaledScore {
  static constexpr bool trivial = false;
  static constexpr int range_count = 1;
  int batch;
  NamedTensor document_;
  ProblemScore() = default;
  SA_DEVICE ProblemScore(const ScoreParams& params, WorkItem item, const Sequence& sequence)
      : ScaledScore(params, item, sequence),
        batch(item.batch),
        document_(params.named.tensors[0]) {}
  SA_DEVICE Span seen(int i, Span q) const { return {first_position, q.end}; }
  SA_DEVICE Span full(Span q, Span keys) const { return {0, 0}; }
  SA_DEVICE bool keeps(int q, int k, int column) const { return (column <= q - k) & (named_element<int>(document_, batch, q) == named_element<int>(document_, batch, (k + column))); }
};
}

struct Spec {
  using Score = streamattn::ProblemScore;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = true, .kv_packed = true, .kv_paged = false,
      .q_lens = false, .kv_lens = false};
  static constexpr int tile_q = 192, packed_heads = 1, tile_kv = 64, threads = 256;
};

extern "C" __global__ void __launch_bounds__(256, 1)
streamattn_query_tiles(const __grid_constant__ streamattn::QueryListingParams params) {
  streamattn::query_tiles<Spec>(params);
}
