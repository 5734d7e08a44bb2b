// streamattn  forward  flash_wgmma  sm_90a
// key_lists of 128 x 64, mask: blocks:u8[batch, head, q // 128, k // 128] != 0
#include "forward/key_lists.cuh"

namespace streamattn {
struct ProblemScore : ScaledScore {
  static constexpr bool trivial = false;
  static constexpr int range_count = 1;
  int batch;
  int head;
  NamedTensor blocks_;
  ProblemScore() = default;
  SA_DEVICE ProblemScore(const ScoreParams& params, WorkItem item, const Sequence& sequence)
      : ScaledScore(params, item, sequence),
        batch(item.batch),
        head(item.head),
        blocks_(params.named.tensors[0]) {}
  SA_DEVICE Span seen(int i, Span q) const { return {first_position, last_position}; }
  SA_DEVICE Span full(Span q, Span keys) const { return {0, 0}; }
  SA_DEVICE bool keeps(int q, int k, int column) const { return named_element<unsigned char>(blocks_, batch, head, (q >> 7), ((k + column) >> 7)) != 0; }
};

struct ProblemTiles {
  static constexpr int row_values = 0, key_values = 0;
  static constexpr bool exact = true;
  int batch;
  int head;
  NamedTensor blocks_;
  SA_DEVICE ProblemTiles(const ScoreParams& params, WorkItem item, const Sequence&)
      : batch(item.batch),
        head(item.head),
        blocks_(params.named.tensors[0]) {}
  SA_DEVICE int row_value(int i, int q) const {
    return 0;
  }
  SA_DEVICE int key_value(int i, int k) const {
    constexpr int column = 0;
    return 0;
  }
  SA_DEVICE bool can_see(Span q, Span k, const Interval* rows, const Interval* keys) const { return (named_element<unsigned char>(blocks_, batch, head, (q.begin >> 7), (k.begin >> 7)) != 0) | (((q.begin >> 7) + 1) != ((q.end + 127) >> 7)) | (((k.begin >> 7) + 1) != ((k.end + 127) >> 7)); }
  SA_DEVICE bool sees_all(Span q, Span k, const Interval* rows, const Interval* keys) const { return (((q.begin >> 7) + 1) == ((q.end + 127) >> 7)) & (((k.begin >> 7) + 1) == ((k.end + 127) >> 7)) & ((1 <= named_element<unsigned char>(blocks_, batch, head, (q.begin >> 7), (k.begin >> 7))) | (named_element<unsigned char>(blocks_, batch, head, (q.begin >> 7), (k.begin >> 7)) < 0)); }
};
}

struct Spec {
  using Score = streamattn::ProblemScore;
  using Tiles = streamattn::ProblemTiles;
  static constexpr int tile_q = 128, tile_kv = 64, threads = 256;
};

extern "C" __global__ void __launch_bounds__(256)
streamattn_key_lists(const __grid_constant__ streamattn::ListingParams params) {
  streamattn::key_lists<Spec>(params);
}
