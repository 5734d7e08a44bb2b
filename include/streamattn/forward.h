// The forward pass: its arguments and its kernel.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "streamattn/dropout.h"
#include "streamattn/export.h"
#include "streamattn/kernel.h"
#include "streamattn/named_args.h"
#include "streamattn/sequences.h"
#include "streamattn/tensor.h"

namespace streamattn {

/// Arguments of a forward launch. Memory is on the kernel's device (host memory for the CPU). No
/// element of o or lse may share memory with another element of o or lse, or with one of q, k, v or
/// a named tensor.
///
/// Shapes are those of dense tensors. Where the problem's q_layout is packed, q, o and lse are
/// [1, tokens, ...]; where its kv_layout is, k and v are, and where that is paged, they are [pages,
/// page_size, heads / group_size, ...], which Tensor::bshd (pages of "NHD") and Tensor::bhsd
/// ("HND") make, or other strides where K and V share a tensor.
struct ForwardArgs {
  Tensor q;         ///< dtype [batch, q_len, heads, head_dim]
  Tensor k;         ///< dtype [batch, kv_len, heads / group_size, head_dim]
  Tensor v;         ///< dtype [batch, kv_len, heads / group_size, value_head_dim]
  Tensor o;         ///< out_dtype [batch, q_len, heads, value_head_dim]
  Tensor lse = {};  ///< f32 [batch, q_len, heads, 1], natural log; left out: not written

  /// Of the scores: any finite positive number; 1 / sqrt(head_dim) where not given. q.k must fit
  /// float32: on the CPU, above it the row is NaN, below it the key weighs 0. On a GPU scores times
  /// scale must stay within +-2^30 (docs/flash_wgmma.md).
  std::optional<float> scale = {};

  /// Global position of row 0 of q and of k: what the mask compares. q_offset where not given is
  /// k_offset + kv_len - q_len, which aligns the last query with the last key (bottom right);
  /// 0 aligns the first ones (top left).
  std::optional<std::int64_t> q_offset = {};
  std::int64_t k_offset = 0;

  std::optional<Rows> q_rows = {};   ///< only these rows of q are computed, only they are written
  std::optional<Rows> kv_rows = {};  ///< only these keys are seen; offsets still count from row 0

  /// What mask, score and sink name: each scalar and each tensor once, in any order.
  std::span<const ScalarArg> scalars = {};
  std::span<const TensorArg> tensors = {};

  /// Lengths and places of sequences, of problems whose sequences differ. q_offset where not given
  /// then follows from the lengths of each; q_rows and kv_rows must stay out.
  Sequences sequences = {};

  /// Of problems with dropout; of others the rate must be 0.
  Dropout dropout = {};

  int max_sms = 0;  ///< most multiprocessors (threads on the CPU) to use; 0: all

  /// At least ForwardKernel::workspace_bytes(); many schedules need none.
  Workspace workspace = {};
};

/// What a problem asks of the names in it. Internal.
class NameNeeds;

/// A kernel for the forward pass.
class STREAMATTN_API ForwardKernel final : public Kernel {
 public:
  static constexpr Operation served = Operation::forward;

  /// Internal: kernels come from Jit::forward().
  ForwardKernel(KernelOrigin origin, std::unique_ptr<const Executor> executor);

  /// Bytes of workspace that a launch with `args` needs; 0 where it needs none. Reads sizes,
  /// strides and scalars only: data may be null. Costs about as much as a launch. Throws Error
  /// (invalid_argument) for tensors that do not fit the problem and each other.
  std::size_t workspace_bytes(const ForwardArgs& args) const;

  /// Enqueues one call on `stream`: neither allocates device memory nor synchronises nor touches
  /// the disk, and can be captured into a CUDA graph. The CPU target returns when it is done.
  /// Throws Error (invalid_argument) naming the tensor for a wrong type, size, stride or alignment
  /// or too small a workspace, and (launch_failed): of the driver, or for want of memory on the
  /// CPU.
  void launch(const ForwardArgs& args, Stream stream = nullptr) const;

 private:
  std::shared_ptr<const NameNeeds> names_;
};

}  // namespace streamattn
