// What a problem asks of the scalars and tensors that it names, and their values in a call.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "compiler/expr/names.h"
#include "streamattn/backward.h"
#include "streamattn/named_args.h"
#include "streamattn/tensor.h"
#include "templates/params.h"

namespace streamattn {

/// Made once for a problem: launches only compare.
class NameNeeds {
 public:
  explicit NameNeeds(const Problem& problem);

  /// What indices reach in a call.
  struct Reach {
    std::int64_t batch, heads, kv_heads;
    Rows q, k;  ///< positions of the rows that are computed and seen
  };

  /// Throws Error (invalid_argument) unless each name of the problem is given once and no other,
  /// scalars are in range, and types and sizes of tensors are right. Reads no address.
  void check(std::span<const ScalarArg> scalars, std::span<const TensorArg> tensors,
             const Reach& reach) const {
    if (!scalars.empty() || !tensors.empty() || !is_empty()) check_all(scalars, tensors, reach);
  }

  /// Throws Error (invalid_argument) unless tensors that passed check() have memory for their
  /// elements.
  static void check_memory(std::span<const TensorArg> tensors, const char* kind = "tensor");

  /// Throws Error (invalid_argument) unless each gradient is of a tensor of reals that the problem
  /// names, each of another, with strides that fit. `tensors` have passed check().
  void check_gradients(std::span<const TensorGradient> gradients,
                       std::span<const TensorArg> tensors) const;

  /// Place of a tensor that the problem names in the order of ExprNames.
  std::size_t tensor_index(std::string_view name) const;

  /// The values of arguments that passed check(), in the order of ExprNames.
  NamedValues values(std::span<const ScalarArg> scalars, std::span<const TensorArg> tensors) const;

 private:
  struct Scalar {
    ExprName name;
    bool is_divisor;
  };
  struct Tensor {
    ExprName name;
    std::array<std::uint32_t, 4> variables;  // bits: what a dimension is indexed by, and no more
  };

  bool is_empty() const { return scalars_.empty() && tensors_.empty(); }
  void check_all(std::span<const ScalarArg> scalars, std::span<const TensorArg> tensors,
                 const Reach& reach) const;

  std::vector<Scalar> scalars_;
  std::vector<Tensor> tensors_;
};

}  // namespace streamattn
