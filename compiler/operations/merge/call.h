// The arguments of a merge launch as executors take them.
#pragma once

#include <cstdint>

#include "compiler/operations/forward/call.h"
#include "streamattn/merge.h"

namespace streamattn {

/// A merge launch reduced to what a kernel reads.
struct MergeCall {
  Tensor share_o;    ///< [shares * batch, q_len, heads, v_head_dim]
  Tensor share_lse;  ///< [shares * batch, q_len, heads, 1]
  Tensor o;          ///< [batch, q_len, heads, v_head_dim]
  Tensor lse;        ///< [batch, q_len, heads, 1]; data is null: not written
  int max_sms;       ///< 0: all

  std::int64_t rows() const { return o.batch * o.seq * o.heads; }
  /// Of a call with rows.
  std::int64_t shares() const { return share_o.batch / o.batch; }

  /// Calls visit(name, tensor, use) for every tensor.
  template <class Visit>
  void visit_tensors(const Visit& visit) {
    visit("share_o", share_o, TensorUse::input);
    visit("share_lse", share_lse, TensorUse::input);
    visit("o", o, TensorUse::output);
    visit("lse", lse, TensorUse::output);
  }
};

/// `args` have passed check_merge().
inline MergeCall resolve(const Problem&, const MergeArgs& args) {
  return {args.share_o, args.share_lse, args.o, args.lse, args.max_sms};
}

}  // namespace streamattn
