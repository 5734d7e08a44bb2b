// The arguments of a forward launch with every default and sub-range applied.
#pragma once

#include <cstdint>
#include <span>

#include "compiler/expr/evaluate.h"
#include "compiler/operations/named_args.h"
#include "streamattn/forward.h"

namespace streamattn {

/// What a launch does with a tensor.
enum class TensorUse {
  input,
  output,       ///< every element is written
  accumulated,  ///< every element is added to
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

  std::int64_t batch() const { return q.batch; }
  std::int64_t heads() const { return q.heads; }
  std::int64_t kv_heads() const { return k.heads; }
  std::int64_t q_len() const { return q.seq; }
  std::int64_t kv_len() const { return k.seq; }

  Shape shape() const { return {batch(), kv_heads(), q_len(), kv_len()}; }

  /// Calls visit(name, tensor, use) for every tensor.
  template <class Visit>
  void visit_tensors(const Visit& visit) {
    visit("q", q, TensorUse::input);
    visit("k", k, TensorUse::input);
    visit("v", v, TensorUse::input);
    visit("o", o, TensorUse::output);
    visit("lse", lse, TensorUse::output);
  }
};

/// What every call has of one.
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
