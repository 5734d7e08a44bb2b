// A sequence of a batch: its rows, and where they lie.
#pragma once

#include "parts/batch.cuh"
#include "parts/scores.cuh"

namespace streamattn {

/// Lengths and positions of sequence `index`, and where its rows are in the tensors. Lengths are
/// cut to what there is room for, so that none leads out of them.
template <class Spec>
struct BatchSequence : Sequence {
  static constexpr BatchLayout layout = Spec::layout;

  int index;
  int q_row = 0, kv_row = 0;  // in front of its first ones, of packed tensors

  BatchSequence() = default;
  SA_DEVICE BatchSequence(const BatchParams& batch, int index) : index(index) {
    q_len = sequence_rows<layout.q_packed, layout.q_lens>(batch.q_begins, batch.q_lens, batch.q_len,
                                                          index, q_row);
    kv_len = sequence_rows<layout.kv_packed, layout.kv_lens>(batch.kv_begins, batch.kv_lens,
                                                             batch.kv_len, index, kv_row);
    k_position = batch.k_position;
    q_position = batch.aligns_ends ? k_position + kv_len - q_len : batch.q_position;
  }

  /// Entries of q, o and lse, and of k and v where these have no pages.
  SA_DEVICE int q_entry() const { return layout.q_packed ? 0 : index; }
  SA_DEVICE int kv_entry() const { return layout.kv_packed ? 0 : index; }

  /// Its queries, by position.
  SA_DEVICE Span all_queries() const { return queries(0, q_len); }

  /// The policy for one of its heads.
  SA_DEVICE typename Spec::Score score(const ScoreParams& params, int head) const {
    WorkItem item = {0, head, index, 0};
    if constexpr (layout.is_equal())
      return {params, item, *this};
    else
      return score_of_sequence<typename Spec::Score>(params, item, *this);
  }
};

}  // namespace streamattn
