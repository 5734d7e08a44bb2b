// The arguments of an append launch with every default applied.
#pragma once

#include <cstdint>
#include <optional>

#include "compiler/operations/append/rope.h"
#include "compiler/operations/forward/call.h"
#include "compiler/operations/forward/sequences.h"
#include "streamattn/append.h"

namespace streamattn {

/// What is turned by position, and by how much.
struct RopeCall {
  RopeStyle style = RopeStyle::none;
  std::int64_t dim = 0;  ///< columns; 0: nothing is turned
  Tensor cos, sin;       ///< [1, positions, 1, dim / 2], or without data
  RopeSteps steps;       ///< [dim / 2] where there are no tables
};

/// An append launch reduced to what a kernel reads.
struct AppendCall {
  Tensor new_k;         ///< [batch, q_len, kv_heads, head_dim]
  Tensor new_v;         ///< [batch, q_len, kv_heads, v_head_dim]
  Tensor k, v;          ///< the cache
  Tensor q, rotated_q;  ///< [batch, q_len, heads, head_dim]; without heads where there are none
  RopeCall rope;
  std::int64_t k_position;  ///< of row 0 of a sequence in the cache
  int max_sms;              ///< 0: all
  BatchSizes sizes;         ///< sequences, the most new rows and the most rows in the cache of one
  Sequences sequences;      ///< with sizes and block_table_stride filled in

  /// Calls visit(array, pointer) for every array of lengths and places.
  template <class Visit>
  void visit_arrays(const Visit& visit) {
    visit_sequence_arrays(sequences, visit);
  }

  /// Calls visit(name, tensor, use) for every tensor.
  template <class Visit>
  void visit_tensors(const Visit& visit) {
    visit("new_k", new_k, TensorUse::input);
    visit("new_v", new_v, TensorUse::input);
    visit("q", q, TensorUse::input);
    visit("cos", rope.cos, TensorUse::input);
    visit("sin", rope.sin, TensorUse::input);
    visit("k", k, TensorUse::some_rows);
    visit("v", v, TensorUse::some_rows);
    visit("rotated_q", rotated_q, TensorUse::some_rows);
  }
};

/// The call that reads the cache, as far as its sequences go: new rows stand in for queries.
ForwardArgs forward_part(const AppendArgs& args);

/// Applies defaults. `args` have passed check_append().
AppendCall resolve(const Problem& problem, const AppendArgs& args);

/// The new rows of one sequence, and where they go. Reads its length: host memory.
class AppendedRows {
 public:
  AppendedRows(const AppendCall& call, std::int64_t index);

  /// Rows of new_k, new_v and q.
  const SequenceRows& source() const { return source_; }
  std::int64_t count() const { return source_.rows.end - source_.rows.begin; }

  /// Row of the sequence in the cache that new row `i` is; may be one that has no place.
  std::int64_t row(std::int64_t i) const { return first_ + i; }

  /// A row of k and v.
  struct Place {
    std::int64_t batch, seq;
  };
  /// Where new row `i` is written, if it is.
  std::optional<Place> place(std::int64_t i) const;

 private:
  SequenceRows source_;
  std::int64_t first_, room_;  // rows of the sequence in the cache
  Place begin_;                // of its row 0, where it lies in one piece
  KeyPages pages_;
};

}  // namespace streamattn
