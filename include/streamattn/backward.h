// The backward pass: its arguments and its kernel.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "streamattn/forward.h"

namespace streamattn {

/// Where the gradient of a named tensor of reals goes: a float32 tensor of the sizes of that one.
/// An element that no pair of a query and a key takes gets 0.
struct TensorGradient {
  std::string_view name;
  float* data = nullptr;                     ///< on the kernel's device
  std::array<std::int64_t, 4> strides = {};  ///< in elements, of as many dimensions

  /// Dense, the last dimension contiguous.
  static TensorGradient dense(float* data, const TensorArg& of) {
    TensorGradient gradient{.name = of.name, .data = data};
    std::int64_t stride = 1;
    for (int d = of.rank - 1; d >= 0; d--) {
      gradient.strides[d] = stride;
      stride *= of.sizes[d];
    }
    return gradient;
  }
};

/// Arguments of a backward launch. Memory is on the kernel's device (host memory for the CPU). No
/// element of a gradient may share memory with another element of a gradient, or with one of an
/// input.
///
/// Each of d_q, d_k and d_v has the problem's dtype or f32, by itself.
///
/// Shapes are those of dense tensors. Where the problem's layouts are packed, tensors of queries
/// are [1, q_tokens, ...] and those of keys [1, kv_tokens, ...]; of gradients, the rows of
/// sequences are written, as far as lengths reach, and no others.
struct BackwardArgs {
  Tensor q;    ///< dtype [batch, q_len, heads, head_dim]
  Tensor k;    ///< dtype [batch, kv_len, heads / group_size, head_dim]
  Tensor v;    ///< dtype [batch, kv_len, heads / group_size, value_head_dim]
  Tensor o;    ///< out_dtype [batch, q_len, heads, value_head_dim], as forward wrote it
  Tensor lse;  ///< f32 [batch, q_len, heads, 1], as forward wrote it
  Tensor d_o;  ///< out_dtype [batch, q_len, heads, value_head_dim]

  Tensor d_q;  ///< [batch, q_len, heads, head_dim]
  Tensor d_k;  ///< [batch, kv_len, heads / group_size, head_dim]
  Tensor d_v;  ///< [batch, kv_len, heads / group_size, value_head_dim]

  /// Of named tensors, those that are wanted, in any order. What a sink contributes does not depend
  /// on keys: of shares of the keys, one alone should be asked for it.
  std::span<const TensorGradient> gradients = {};

  /// Adds to what all gradients hold instead of overwriting it: d_q, d_k and d_v must be f32.
  bool accumulate = false;

  // As of the forward launch; see ForwardArgs.
  std::optional<float> scale = {};
  std::optional<std::int64_t> q_offset = {};
  std::int64_t k_offset = 0;

  /// Only the pairs of these rows of q and k count; only these rows of d_q, d_k and d_v are
  /// written. o and lse may come of more keys: the gradients of all shares of the keys add up to
  /// the whole.
  std::optional<Rows> q_rows = {}, kv_rows = {};

  std::span<const ScalarArg> scalars = {};
  std::span<const TensorArg> tensors = {};
  Sequences sequences = {};
  Dropout dropout = {};
  int max_sms = 0;

  /// At least BackwardKernel::workspace_bytes().
  Workspace workspace = {};
};

/// A kernel for the backward pass. Deterministic: equal arguments give equal bits, for a given
/// schedule and device.
class STREAMATTN_API BackwardKernel final : public Kernel {
 public:
  static constexpr Operation served = Operation::backward;

  /// Internal: kernels come from Jit::backward().
  BackwardKernel(KernelOrigin origin, std::unique_ptr<const Executor> executor);

  /// Bytes of workspace that a launch with `args` needs; 0 where it needs none. Reads sizes,
  /// strides and scalars only: data may be null. Throws Error (invalid_argument) for tensors that
  /// do not fit the problem and each other.
  std::size_t workspace_bytes(const BackwardArgs& args) const;

  /// Enqueues one call on `stream`, on the terms of ForwardKernel::launch().
  void launch(const BackwardArgs& args, Stream stream = nullptr) const;

 private:
  std::shared_ptr<const NameNeeds> names_;
};

}  // namespace streamattn
