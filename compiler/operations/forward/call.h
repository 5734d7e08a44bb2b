// The arguments of a forward launch with every default and sub-range applied.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "compiler/expr/evaluate.h"
#include "compiler/operations/named_args.h"
#include "streamattn/forward.h"

namespace streamattn {

/// Calls visit(array, pointer) for every array of `sequences` that is given; `pointer` is its
/// member.
template <class SomeSequences, class Visit>
void visit_sequence_arrays(SomeSequences& sequences, const Visit& visit) {
  const auto array = [&](const char* name, auto& pointer, std::int64_t rows, std::int64_t columns,
                         std::int64_t stride) {
    if (pointer == nullptr) return;
    TensorArg view = TensorArg::dense(name, pointer, DType::i32, {rows, columns});
    view.strides[0] = stride;
    visit(view, pointer);
  };
  auto& s = sequences;
  array("cu_seqlens_q", s.cu_seqlens_q, 1, s.batch + 1, 0);
  array("cu_seqlens_kv", s.cu_seqlens_kv, 1, s.batch + 1, 0);
  array("q_lens", s.q_lens, 1, s.batch, 0);
  array("kv_lens", s.kv_lens, 1, s.batch, 0);
  array("block_table", s.block_table, s.batch, s.pages,
        s.block_table_stride == 0 ? s.pages : s.block_table_stride);
}

/// Sequences of a launch, and the most rows that one can have.
struct BatchSizes {
  std::int64_t batch, q_len, kv_len;
};

/// Where the keys of one sequence lie if they lie in pages: those from p * size on begin entry
/// table[p] of k and v, or nowhere if that is below 0. The table is null where they do not.
struct KeyPages {
  const std::int32_t* table = nullptr;
  std::int64_t size = 0;
};

/// What a launch does with a tensor.
enum class TensorUse {
  input,
  output,            ///< every element is written
  some_rows,         ///< rows are written that the device knows
  accumulated,       ///< every element is added to
  accumulated_rows,  ///< those of rows that the device knows
};

/// A forward launch reduced to what a kernel reads. Tensors are views of the sub-ranges only, and
/// positions are those of their first rows.
struct ForwardCall {
  Tensor q;    ///< [batch, q_len, heads, head_dim]
  Tensor k;    ///< [batch, kv_len, kv_heads, head_dim]
  Tensor v;    ///< [batch, kv_len, kv_heads, v_head_dim]
  Tensor o;    ///< [batch, q_len, heads, v_head_dim]
  Tensor lse;  ///< [batch, q_len, heads, 1]; data is null: not written

  std::int64_t q_position;  ///< global position of row 0 of q, what masks compare
  std::int64_t k_position;  ///< global position of row 0 of k
  float scale;              ///< of the scores
  int max_sms;              ///< 0: all

  std::int64_t whole_q_len, whole_kv_len;    ///< rows of q and k before sub-ranges
  NamedValues named;                         ///< in the order of ExprNames
  std::span<const TensorArg> named_tensors;  ///< as they were given
  Dropout dropout = {};                      ///< of problems with dropout

  /// Of problems whose sequences differ: batch, max_q_len, max_kv_len and block_table_stride are
  /// filled in, and shapes and positions above are those of whole tensors.
  std::optional<Sequences> sequences = {};
  bool aligns_ends = false;  ///< the last query of each is at its last key, whatever q_position is

  std::int64_t first_batch = 0;  ///< what expressions take for the index of entry 0
  KeyPages pages = {};           ///< of a call that is one sequence; k and v then are of its length

  std::int64_t batch() const { return sequences ? sequences->batch : q.batch; }
  std::int64_t heads() const { return q.heads; }
  std::int64_t kv_heads() const { return k.heads; }
  /// Of the longest sequence.
  std::int64_t q_len() const { return sequences ? sequences->max_q_len : q.seq; }
  std::int64_t kv_len() const { return sequences ? sequences->max_kv_len : k.seq; }

  Shape shape() const { return {batch(), kv_heads(), q_len(), kv_len()}; }

  /// Calls visit(array, pointer) for every array of lengths and places; `pointer` leads to its
  /// data.
  template <class Visit>
  void visit_arrays(const Visit& visit) {
    if (sequences) visit_sequence_arrays(*sequences, visit);
  }

  /// Calls visit(name, tensor, use) for every tensor.
  template <class Visit>
  void visit_tensors(const Visit& visit) {
    visit("q", q, TensorUse::input);
    visit("k", k, TensorUse::input);
    visit("v", v, TensorUse::input);
    const TensorUse outputs = sequences ? TensorUse::some_rows : TensorUse::output;
    visit("o", o, outputs);
    visit("lse", lse, outputs);
  }
};

/// What a call has of the pass forward.
inline ForwardCall& forward_of(ForwardCall& call) { return call; }

/// The view of `rows` of `tensor`; what has no memory stays without.
Tensor take_rows(Tensor tensor, Rows rows);

/// A row of the output of a call; `row` is one of call.q.
struct CallRow {
  std::int64_t batch, head, row;
};

/// What expressions know of it: all but a key.
ExprPoint point_of(const ForwardCall& call, const CallRow& row);

/// Applies defaults and sub-ranges. `args` have passed check_forward_sizes(); `names` are those of
/// the problem, and made for the call where they are not given.
ForwardCall resolve(const Problem& problem, const NameNeeds& names, const ForwardArgs& args);
ForwardCall resolve(const Problem& problem, const ForwardArgs& args);

}  // namespace streamattn
