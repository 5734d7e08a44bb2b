// streamattn  backward  backward_wgmma  sm_90a
// seen_tiles of 128 x 128, mask: k <= q && document[batch, q] == document[batch, k]
#include "backward/seen_tiles.cuh"

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

struct ProblemTiles {
  static constexpr int row_values = 1, key_values = 1;
  static constexpr bool exact = false;
  int batch;
  NamedTensor document_;
  SA_DEVICE ProblemTiles(const ScoreParams& params, WorkItem item, const Sequence&)
      : batch(item.batch),
        document_(params.named.tensors[0]) {}
  SA_DEVICE int row_value(int i, int q) const {
    if (i == 0) return named_element<int>(document_, batch, q);
    return 0;
  }
  SA_DEVICE int key_value(int i, int k) const {
    constexpr int column = 0;
    if (i == 0) return named_element<int>(document_, batch, (k + column));
    return 0;
  }
  SA_DEVICE bool can_see(Span q, Span k, const Interval* rows, const Interval* keys) const { return (k.begin < q.end) & (rows[0].low <= keys[0].high) & (keys[0].low <= rows[0].high); }
  SA_DEVICE bool sees_all(Span q, Span k, const Interval* rows, const Interval* keys) const { return (k.end <= (q.begin + 1)) & (keys[0].high == rows[0].low) & (keys[0].low == rows[0].high); }
};
}

struct Spec {
  using Score = streamattn::ProblemScore;
  using Tiles = streamattn::ProblemTiles;
  static constexpr int tile_q = 128, tile_kv = 128, threads = 1024;
};

extern "C" __global__ void __launch_bounds__(1024)
streamattn_seen_tiles(const __grid_constant__ streamattn::SeenListingParams params) {
  streamattn::seen_tiles<Spec>(params);
}
