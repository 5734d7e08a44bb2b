// Strided views of tensors and the arguments of a launch.
#pragma once

#include <cstdint>
#include <optional>

namespace streamattn {

/// A view of [batch, seq, heads, dim] in any order of the first three: element (b, s, h, d) is at
/// data + b * batch_stride + s * seq_stride + h * head_stride + d, counted in elements. Owns
/// nothing. On a GPU: data and strides in bytes are multiples of 16.
struct Tensor {
  void* data = nullptr;
  std::int64_t batch = 0, seq = 0, heads = 0, dim = 0;
  std::int64_t batch_stride = 0, seq_stride = 0, head_stride = 0;

  /// A dense [batch, seq, heads, dim] tensor.
  static Tensor bshd(const void* data, std::int64_t batch, std::int64_t seq, std::int64_t heads,
                     std::int64_t dim) {
    return {const_cast<void*>(data), batch, seq, heads, dim, seq * heads * dim, heads * dim, dim};
  }

  /// A dense [batch, heads, seq, dim] tensor.
  static Tensor bhsd(const void* data, std::int64_t batch, std::int64_t heads, std::int64_t seq,
                     std::int64_t dim) {
    return {const_cast<void*>(data), batch, seq, heads, dim, heads * seq * dim, dim, seq * dim};
  }
};

/// Rows [begin, end) of a sequence.
struct Rows {
  std::int64_t begin = 0, end = 0;
};

/// Arguments of a forward launch. Memory is on the kernel's device (host memory for the CPU).
struct ForwardArgs {
  Tensor q;         ///< [batch, q_len, heads, head_dim]
  Tensor k;         ///< [batch, kv_len, heads / group_size, head_dim]
  Tensor v;         ///< [batch, kv_len, heads / group_size, value_head_dim]
  Tensor o;         ///< [batch, q_len, heads, value_head_dim]
  Tensor lse = {};  ///< float32 [batch, q_len, heads, 1], natural log; left out: not written

  std::optional<float> scale = {};  ///< of the scores; 1 / sqrt(head_dim) where not given

  /// Global position of row 0 of q and of k: what the mask compares. q_offset where not given is
  /// k_offset + kv_len - q_len, which aligns the last query with the last key (bottom right);
  /// 0 aligns the first ones (top left).
  std::optional<std::int64_t> q_offset = {};
  std::int64_t k_offset = 0;

  std::optional<Rows> q_rows = {};   ///< only these rows of q are computed, only they are written
  std::optional<Rows> kv_rows = {};  ///< only these keys are seen; offsets still count from row 0

  int max_sms = 0;  ///< most multiprocessors (threads on the CPU) to use; 0: all
};

}  // namespace streamattn
