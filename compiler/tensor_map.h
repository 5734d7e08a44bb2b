// What a tensor map (CUtensorMap) is made of.
#pragma once

#include <cstdint>

#include "streamattn/tensor.h"

namespace streamattn {

/// A tensor of 16-bit elements with unit stride in `dim`, and the box in which TMA moves it:
/// everything that a tensor map depends on.
struct BoxedTensor {
  void* data;
  std::uint64_t dims[4];          // dim, seq, heads, batch; or as said below
  std::uint64_t byte_strides[3];  // of all but dim
  DType type;
  int rows, columns;  // of the box, along dims[1] and dims[0]; a row is one swizzle span
  int l2_bytes;       // that the L2 fetches at least: 128 or 256
  int planes = 1;     // of the box, along dims[2]

  friend bool operator==(const BoxedTensor&, const BoxedTensor&) = default;
};

/// The map of `tensor` in boxes of `rows` rows and one chunk of columns. TMA clips at the tensor's
/// edges, so padded columns and rows past the end read as zero and are not written. A tensor
/// without elements is mapped as 16 bytes at `anywhere`, whatever its strides: a row without keys
/// loads a tile of them. An L2 that fetches 256 bytes is no slower where K and V are read again,
/// and 7 % slower where they stream.
BoxedTensor boxed(const Tensor& tensor, int rows, void* anywhere, int l2_bytes = 256);

/// The map of a tensor of packed sequences, none of which has more than `longest` rows, as dim,
/// longest, heads, rows: row r of a sequence of `length` rows that begins at row `first` is at
/// (longest - length + r, first + length). So rows behind its last one are outside of the tensor:
/// they read as zero and are not written.
BoxedTensor boxed_sequences(const Tensor& tensor, int rows, std::int64_t longest, void* anywhere);

/// The same with rows of `heads` heads together, position by position: the tensor as dim, heads,
/// seq, batch. `heads` divides `rows`.
BoxedTensor boxed_by_heads(const Tensor& tensor, int rows, int heads, void* anywhere);

/// Throws Error (invalid_argument) that names the tensor `name` unless TMA can move it: data and
/// strides in bytes are multiples of 16, strides lie in [0, 2^40). Strides of dimensions of size 1
/// and everything in tensors without elements may be anything.
void require_tma(const char* name, const Tensor& tensor);

}  // namespace streamattn
