// One backward call as tools and tests write it down, and its tensors.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "measure/forward_case.h"
#include "streamattn/backward.h"

namespace streamattn {

/// A call. Memory comes from BackwardTensors.
struct BackwardCase {
  ForwardCase forward = {};                  ///< the pass that it goes back through, LSE included
  std::optional<DType> gradient_dtype = {};  ///< of d_q, d_k and d_v; dtype where not given
  bool accumulate = false;                   ///< to gradients that hold random values
  bool of_tensors = true;                    ///< gradients of named tensors of reals are wanted

  std::string describe() const;
};

/// The tensors of a case on the host: random q, k, v and d_o, poisoned o, lse and gradients, and
/// those that the problem names. What gradients are added to is random in place of poison.
struct BackwardTensors {
  explicit BackwardTensors(const BackwardCase& given);

  /// The arguments of the case with these tensors. They point into this.
  BackwardArgs args() const;

  /// Where the gradient of a named tensor goes, dense.
  struct Elements {
    std::string name;
    std::vector<float> values;
    std::array<std::int64_t, 4> strides;
  };

  ForwardTensors forward;
  HostTensor d_o, d_q, d_k, d_v;
  std::vector<Elements> elements;

 private:
  std::vector<TensorGradient> gradients_;
  bool accumulate_;
};

/// Fills in o and lse by the forward pass of the CPU.
void compute_outputs(const BackwardCase& given, BackwardTensors& tensors);

}  // namespace streamattn
