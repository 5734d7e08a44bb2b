// Strided views of tensors and of scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "streamattn/dtype.h"

namespace streamattn {

/// A view of [batch, seq, heads, dim] in any order of the first three: element (b, s, h, d) is at
/// data + b * batch_stride + s * seq_stride + h * head_stride + d, counted in elements. Owns
/// nothing. What a device asks beyond that (16-byte alignment, say) is the kernel's to check.
struct Tensor {
  void* data = nullptr;
  DType dtype = DType::bf16;
  std::int64_t batch = 0, seq = 0, heads = 0, dim = 0;
  std::int64_t batch_stride = 0, seq_stride = 0, head_stride = 0;

  /// A dense [batch, seq, heads, dim] tensor.
  static Tensor bshd(const void* data, DType dtype, std::int64_t batch, std::int64_t seq,
                     std::int64_t heads, std::int64_t dim) {
    return {const_cast<void*>(data), dtype,       batch, seq, heads, dim,
            seq * heads * dim,       heads * dim, dim};
  }

  /// A dense [batch, heads, seq, dim] tensor.
  static Tensor bhsd(const void* data, DType dtype, std::int64_t batch, std::int64_t heads,
                     std::int64_t seq, std::int64_t dim) {
    return {const_cast<void*>(data), dtype, batch,    seq, heads, dim,
            heads * seq * dim,       dim,   seq * dim};
  }
};

/// Rows [begin, end) of a sequence.
struct Rows {
  std::int64_t begin = 0, end = 0;
};

/// Scratch memory that a launch may use until it is done. It belongs to the caller; launches that
/// can run at the same time need different ones, and no tensor of the launch may share its bytes.
struct Workspace {
  void* data = nullptr;  ///< on the kernel's device, a multiple of 256
  std::size_t bytes = 0;
};

}  // namespace streamattn
