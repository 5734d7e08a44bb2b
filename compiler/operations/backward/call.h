// The arguments of a backward launch with every default and sub-range applied.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "compiler/operations/forward/call.h"
#include "streamattn/backward.h"

namespace streamattn {

/// Where the gradient of a named tensor goes.
struct NamedGradient {
  float* data = nullptr;  ///< null where it has no elements
  std::array<std::int64_t, 4> strides = {};
  int rank = 0;  ///< 0: not wanted
};

/// A backward launch reduced to what a kernel reads. Tensors are views of the sub-ranges only.
struct BackwardCall {
  ForwardCall forward;  ///< its o and lse are inputs here
  Tensor d_o;           ///< [batch, q_len, heads, v_head_dim]
  Tensor d_q;           ///< [batch, q_len, heads, head_dim]
  Tensor d_k;           ///< [batch, kv_len, kv_heads, head_dim]
  Tensor d_v;           ///< [batch, kv_len, kv_heads, v_head_dim]
  bool accumulate;      ///< gradients are added to what is there

  std::array<NamedGradient, NamedValues::most_tensors> gradients;  ///< in the order of ExprNames

  /// Calls visit(gradient, tensor, use) for every gradient of a named tensor that is wanted.
  template <class Visit>
  void visit_gradients(const Visit& visit) {
    for (std::size_t i = 0; i < gradients.size(); i++)
      if (gradients[i].rank > 0)
        visit(gradients[i], forward.named.tensors[i],
              accumulate ? TensorUse::accumulated : TensorUse::output);
  }

  /// Calls visit(array, pointer) for every array of lengths and places.
  template <class Visit>
  void visit_arrays(const Visit& visit) {
    forward.visit_arrays(visit);
  }

  /// Calls visit(name, tensor, use) for every tensor.
  template <class Visit>
  void visit_tensors(const Visit& visit) {
    TensorUse gradient = accumulate ? TensorUse::accumulated : TensorUse::output;
    if (forward.sequences)
      gradient = accumulate ? TensorUse::accumulated_rows : TensorUse::some_rows;
    for (const auto& [name, tensor] :
         {std::pair("q", &forward.q), std::pair("k", &forward.k), std::pair("v", &forward.v),
          std::pair("o", &forward.o), std::pair("lse", &forward.lse), std::pair("d_o", &d_o)})
      visit(name, *tensor, TensorUse::input);
    for (const auto& [name, tensor] :
         {std::pair("d_q", &d_q), std::pair("d_k", &d_k), std::pair("d_v", &d_v)})
      visit(name, *tensor, gradient);
  }
};

inline ForwardCall& forward_of(BackwardCall& call) { return call.forward; }

/// What of the arguments those of a forward launch have, too.
ForwardArgs forward_part(const BackwardArgs& args);

/// Applies defaults and sub-ranges. `args` have passed check_backward_sizes(); `names` are those of
/// the problem, and made for the call where they are not given.
BackwardCall resolve(const Problem& problem, const NameNeeds& names, const BackwardArgs& args);
BackwardCall resolve(const Problem& problem, const BackwardArgs& args);

/// Each sequence as a call with dense lengths, a batch of one, that has all gradients of named
/// tensors; the call itself where sequences do not differ. Reads lengths and offsets: host memory.
std::vector<BackwardCall> sequence_calls(const BackwardCall& call);

}  // namespace streamattn
