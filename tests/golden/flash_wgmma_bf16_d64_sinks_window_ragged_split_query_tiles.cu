// streamattn  forward  flash_wgmma  sm_90a
// query tiles of 192 rows, keys in tiles of 80, mask: k <= q && (k < first || k >= q - window)
#include "forward/query_tiles.cuh"

namespace streamattn {
struct ProblemScore : ScaledScore {
  static constexpr bool trivial = false;
  static constexpr int range_count = 2;
  int first_;
  int window_;
  ProblemScore() = default;
  SA_DEVICE ProblemScore(const ScoreParams& params, WorkItem item, const Sequence& sequence)
      : ScaledScore(params, item, sequence),
        first_(params.named.scalars[0]),
        window_(params.named.scalars[1]) {}
  SA_DEVICE Span seen(int i, Span q) const {
    const Span ranges[] = {Span{(q.begin - window_), q.end}, Span{first_position, min(q.end, first_)}};
    return nth(ranges, i);
  }
  SA_DEVICE Span full(Span q, Span keys) const {
    const Span ranges[] = {Span{first_position, min(first_, (q.begin + 1))}, Span{(q.end - window_ - 1), (q.begin + 1)}};
    return most_of(keys, ranges);
  }
  SA_DEVICE bool keeps(int q, int k, int column) const { return (column <= q - k) & ((column <= (first_ - 1) - k) | (column >= (q - window_) - k)); }
};
}

struct Spec {
  using Score = streamattn::ProblemScore;
  static constexpr streamattn::BatchLayout layout = {
      .q_packed = false, .kv_packed = false, .kv_paged = false,
      .q_lens = true, .kv_lens = true};
  static constexpr int tile_q = 192, packed_heads = 1, tile_kv = 80, threads = 256;
  static constexpr bool shares_keys = true;
};

extern "C" __global__ void __launch_bounds__(256, 1)
streamattn_query_tiles(const __grid_constant__ streamattn::QueryListingParams params) {
  streamattn::query_tiles<Spec>(params);
}
