// The sequences of the backward pass: entries of a dense batch, or packed ones, which differ.
#pragma once

#include "backward/backward_params.h"
#include "parts/batch.cuh"
#include "parts/scores.cuh"
#include "ptx/shared.cuh"

namespace streamattn {

/// Whether sequences are packed and differ; `layout` of its Spec says in what.
template <class Spec>
constexpr bool is_packed = requires { Spec::layout; };

/// Coordinates of the rows of a sequence in a tensor map: of its first one, and of the batch. Of
/// packed sequences they are chosen so that what is behind the last row is outside of the tensor
/// (boxed_sequences() in compiler/tensor_map.h).
struct MapRows {
  int first, entry;
};

/// Rows of queries, or of keys, of a packed sequence.
struct PackedRange {
  int first, count;  // in the tensors

  SA_DEVICE MapRows in_map(int longest) const { return {longest - count, first + count}; }
};

template <class Spec>
SA_DEVICE PackedRange packed_queries(const BatchParams& batch, int index) {
  PackedRange rows;
  rows.count = sequence_rows<true, Spec::layout.q_lens>(batch.q_begins, batch.q_lens, batch.q_len,
                                                        index, rows.first);
  return rows;
}
template <class Spec>
SA_DEVICE PackedRange packed_keys(const BatchParams& batch, int index) {
  PackedRange rows;
  rows.count = sequence_rows<true, Spec::layout.kv_lens>(batch.kv_begins, batch.kv_lens,
                                                         batch.kv_len, index, rows.first);
  return rows;
}

/// A packed sequence.
struct PackedSequence {
  PackedRange q, kv;

  SA_DEVICE static PackedSequence load(u32 slot) {
    int4 found = load_shared(slot);
    return {{found.x, found.y}, {found.z, found.w}};
  }
  SA_DEVICE void store(u32 slot) const {
    store_shared(slot, make_int4(q.first, q.count, kv.first, kv.count));
  }

  SA_DEVICE Sequence positions(const BatchParams& batch) const {
    int aligned = batch.k_position + kv.count - q.count;
    return {q.count, kv.count, batch.aligns_ends ? aligned : batch.q_position, batch.k_position};
  }
};

/// The places of the tiles of packed sequences in what has one for each: the tiles of a sequence
/// follow each other, those of the next one come behind, with at most one unused place between.
struct TilePlaces {
  const int* begins;  // of sequences, in rows
  int sequences, tile_rows;

  /// That of the first tile of sequence `index`, which begins at row `first`.
  SA_DEVICE static int first_of(int first, int index, int tile_rows) {
    return first / tile_rows + index;
  }

  /// The sequence that the place belongs to; -1: none.
  SA_DEVICE int sequence_of(int place) const {
    int begin = 0, end = sequences;
#pragma unroll 1
    while (begin < end) {
      int middle = (begin + end) / 2;
      if (first_of(load_global(begins + middle), middle, tile_rows) <= place)
        begin = middle + 1;
      else
        end = middle;
    }
    return begin - 1;
  }
};

/// The tile of queries at a place, of one of the kernels that go by these.
struct PlacedQueries {
  int sequence;    // negative: there is none
  PackedRange q;   // of the sequence
  int first, row;  // the tile's first row in it, and in the tensors
};
template <class Spec>
SA_DEVICE PlacedQueries queries_at(const BatchParams& batch, int place) {
  int index = TilePlaces{batch.q_begins, batch.batch, Spec::tile_q}.sequence_of(place);
  if (index < 0) return {-1, {0, 0}, 0, 0};
  PackedRange q = packed_queries<Spec>(batch, index);
  int first = (place - TilePlaces::first_of(q.first, index, Spec::tile_q)) * Spec::tile_q;
  return {index, q, first, q.first + first};
}

/// Queries of a sequence for kernels that go over pairs anew: where their statistics are, of one
/// head, and their place in tensor maps.
struct ItemRows {
  Sequence sequence;
  MapRows q, kv;
  long long statistics;  // of its first query
};
template <class Spec>
SA_DEVICE ItemRows rows_of_item(const SequenceParams& dense, const BatchParams& batch,
                                const StatisticsParams& statistics, int heads, WorkItem item) {
  if constexpr (is_packed<Spec>) {
    PackedSequence packed = {packed_queries<Spec>(batch, item.batch),
                             packed_keys<Spec>(batch, item.batch)};
    int place = TilePlaces::first_of(packed.q.first, item.batch, Spec::tile_q);
    return {packed.positions(batch), packed.q.in_map(batch.q_len), packed.kv.in_map(batch.kv_len),
            (long long)item.head * statistics.padded_len + place * Spec::tile_q};
  } else {
    return {Sequence(dense, item),
            {0, item.batch},
            {0, item.batch},
            ((long long)item.batch * heads + item.head) * statistics.padded_len};
  }
}

/// A policy for one head of a sequence.
template <class Spec, class Policy>
SA_DEVICE Policy policy_of(const ScoreParams& params, WorkItem query, const Sequence& sequence) {
  if constexpr (is_packed<Spec>)
    return score_of_sequence<Policy>(params, query, sequence);
  else
    return {params, query, sequence};
}

}  // namespace streamattn
