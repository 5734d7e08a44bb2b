// The schedule: the key tiles of all items as one stream, of which every block, or cluster of
// blocks, takes an equal share. Or their splits, of as many tiles each, so that what a piece is
// depends on its item alone.
//
// An item is a KV head of a sequence and as many query rows as a tile has; it is as long as its key
// tiles are many, and one long without keys. Lengths stand on the device, so every warp finds its
// block's share by itself: it adds up the sequences, 32 at a time.
#pragma once

#include "decode/decode_params.h"
#include "parts/batch_sequence.cuh"
#include "parts/seen_tiles.cuh"
#include "parts/warp_sums.cuh"

namespace streamattn {

/// An item, and what of it a block, or a cluster of blocks, computes.
template <class Spec>
struct DecodePiece {
  static constexpr int cluster = Spec::tiling.cluster, grain = Spec::tiling.grain();

  BatchSequence<Spec> sequence;
  SeenTiles<typename Spec::Score, DecodeTiling::tile_kv> tiles;  // of the item
  int kv_head, first_row;
  int item_begin;  // in the stream
  int begin, end;  // of its tiles or splits, those of the piece

  SA_DEVICE int length() const { return length_of(tiles.count); }  // of the item
  SA_DEVICE static int length_of(int tiles) { return max((tiles + grain - 1) / grain, 1); }
  SA_DEVICE bool is_whole() const { return begin == 0 && end == length(); }

  /// Those of its tiles that this block computes: blocks of a cluster share them in their order.
  SA_DEVICE Span tiles_of_block() const {
    int start = begin * grain, stop = min(end * grain, tiles.count);
    if constexpr (cluster == 1) return {start, stop};
    int rank = blockIdx.x % cluster, count = max(stop - start, 0);
    return {start + count * rank / cluster, start + count * (rank + 1) / cluster};
  }
};

/// The share of one block or cluster, item by item.
template <class Spec>
struct DecodeStream {
  static constexpr int rows = Spec::tiling.rows, cluster = Spec::tiling.cluster;
  using Tiles = SeenTiles<typename Spec::Score, DecodeTiling::tile_kv>;

  const DecodeParams& params;
  int lane;

  int total;                           // length of the stream
  int shares;                          // of it, one place at least
  int at, end;                         // what is left of the share
  int sequence_index, sequence_begin;  // where `at` is

  SA_DEVICE DecodeStream(const DecodeParams& params, int lane) : params(params), lane(lane) {
    sequence_index = sequence_begin = 0;
    if constexpr (Spec::tiles_by_sequence) {
      total = length_of_all();
    } else {
      int each = length_of(0);
      total = params.batch.batch * each;
    }
    shares = max(min(int(gridDim.x) / cluster, total), 1);
    at = share_begin(share());
    end = share_begin(share() + 1);
    if (at == end) return;
    if constexpr (Spec::tiles_by_sequence) {
      find_sequence();
    } else {
      int each = length_of(0);
      sequence_index = at / each;
      sequence_begin = sequence_index * each;
    }
  }

  SA_DEVICE bool done() const { return at == end; }

  /// What comes next. Not at the end.
  SA_DEVICE DecodePiece<Spec> next() {
    BatchSequence<Spec> sequence(params.batch, sequence_index);
    Tiles tiles = tiles_of(sequence);
    int length = DecodePiece<Spec>::length_of(tiles.count),
        sequence_end = sequence_begin + items_of(sequence) * length;
    while (at >= sequence_end) {
      sequence = BatchSequence<Spec>(params.batch, ++sequence_index);
      tiles = tiles_of(sequence);
      length = DecodePiece<Spec>::length_of(tiles.count);
      sequence_begin = sequence_end;
      sequence_end += items_of(sequence) * length;
    }
    int item = (at - sequence_begin) / length, item_begin = sequence_begin + item * length;
    int begin = at - item_begin, stop = min(end - item_begin, length);
    if constexpr (Spec::tiling.split > 0) stop = begin + 1;
    DecodePiece<Spec> piece = {
        sequence, tiles, item % params.kv_heads, item / params.kv_heads * rows, item_begin,
        begin,    stop};
    at = item_begin + piece.end;
    return piece;
  }

  /// Which one is this block's.
  SA_DEVICE int share() const { return blockIdx.x / cluster; }

  /// The share to which a place in the stream belongs.
  SA_DEVICE int owner(int place) const {
    return int(((unsigned long long)(place + 1) * shares - 1) / u32(total));
  }

 private:
  // index * total / shares: where shares are a multiple of equal items, none has part of two.
  SA_DEVICE int share_begin(int index) const {
    int before = min(index, shares), each = total / shares;
    return before * each + before * (total - shares * each) / shares;
  }

  SA_DEVICE Tiles tiles_of(const BatchSequence<Spec>& sequence) const {
    return {sequence, sequence.score(params.score, 0), sequence.all_queries()};
  }

  SA_DEVICE int items_of(const BatchSequence<Spec>& sequence) const {
    return params.kv_heads * ((sequence.q_len * Spec::group_size + rows - 1) / rows);
  }

  SA_DEVICE int length_of(int index) const {
    BatchSequence<Spec> sequence(params.batch, index);
    return items_of(sequence) * DecodePiece<Spec>::length_of(tiles_of(sequence).count);
  }

  // Of this lane's of 32 sequences.
  SA_DEVICE int length_from(int first) const {
    return first + lane < params.batch.batch ? length_of(first + lane) : 0;
  }

  SA_DEVICE int length_of_all() const {
    int sum = 0;
#pragma unroll 1
    for (int first = 0; first < params.batch.batch; first += 32) sum += length_from(first);
    return warp_sum(sum);
  }

  // The one that `at` is in.
  SA_DEVICE void find_sequence() {
    int before = 0;
#pragma unroll 1
    for (int first = 0;; first += 32) {
      int length = length_from(first), until = before + warp_prefix_sum(length, lane);
      int all = __shfl_sync(~0u, until, 31);
      if (at < all) {
        int passed = warp_sum(until <= at ? 1 : 0);
        sequence_index = first + passed;
        sequence_begin = __shfl_sync(~0u, until - length, passed);
        return;
      }
      before = all;
    }
  }
};

}  // namespace streamattn
