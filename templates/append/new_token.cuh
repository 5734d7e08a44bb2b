// A new token of a sequence: where its rows are, and where they go in the cache.
#pragma once

#include "append/append_params.h"
#include "parts/batch.cuh"
#include "parts/pages.cuh"

namespace streamattn {

/// `layout` says where the sequences lie, a BatchLayout.
template <class Spec>
struct NewToken {
  static constexpr BatchLayout layout = Spec::layout;

  int sequence;
  bool exists;        // packed tensors may have rows that are no sequence's
  int entry, row;     // of new_k, new_v and q
  int cache_row;      // of the sequence; may be one that has no place
  int room;           // rows of the sequence in the cache
  int first_row = 0;  // in front of these, of a packed cache

  SA_DEVICE NewToken(const BatchParams& batch, int token) {
    int first = 0, i = 0;
    sequence = layout.q_packed ? search(batch, token) : token / batch.q_len;
    int count = sequence_rows<layout.q_packed, layout.q_lens>(batch.q_begins, batch.q_lens,
                                                              batch.q_len, sequence, first);
    entry = layout.q_packed ? 0 : sequence;
    row = layout.q_packed ? token : token - sequence * batch.q_len;
    i = row - first;
    exists = 0 <= i && i < count;
    room = sequence_room<layout.kv_packed>(batch.kv_begins, batch.kv_len, sequence, first_row);
    int length = layout.kv_lens ? max(load_global(batch.kv_lens + sequence), 0) : room;
    cache_row = length - count + i;
  }

  /// Entry and row of k and v. False where the token has no place there.
  SA_DEVICE bool place(const BatchParams& batch, int& to_entry, int& to_row) const {
    if (cache_row < 0 || cache_row >= room) return false;
    to_entry = layout.kv_packed ? 0 : sequence;
    to_row = first_row + cache_row;
    if constexpr (layout.kv_paged) {
      KeyPlace at = place_in_pages(batch.pages, sequence, cache_row, room);
      to_entry = at.entry, to_row = at.row;
    }
    return to_entry >= 0;
  }

 private:
  // The last sequence that begins at the token or in front of it; 0 where none does.
  SA_DEVICE static int search(const BatchParams& batch, int token) {
    int begin = 0, end = batch.batch;
    while (end - begin > 1) {
      int middle = (begin + end) / 2;
      if (load_global(batch.q_begins + middle) <= token) {
        begin = middle;
      } else {
        end = middle;
      }
    }
    return begin;
  }
};

}  // namespace streamattn
