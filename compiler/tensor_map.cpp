// Boxes of tensors, and what TMA asks of them.
#include "compiler/tensor_map.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <utility>

#include "streamattn/error.h"
#include "templates/params.h"

namespace streamattn {
namespace {

constexpr std::int64_t stride_limit = std::int64_t{1} << 40;  // bytes
constexpr int alignment = 16;                                 // bytes

void require_stride(const char* name, const char* dimension, std::int64_t size, std::int64_t stride,
                    DType type) {
  if (size <= 1) return;
  // Every launch comes by here: no division where all is well.
  if (stride >= 0 && stride < stride_limit && stride * bytes(type) < stride_limit &&
      stride * bytes(type) % alignment == 0)
    return;
  const std::int64_t limit = stride_limit / bytes(type);
  if (stride < 0 || stride >= limit)
    throw Error(ErrorCode::invalid_argument,
                llvm::formatv("{0}: {1}_stride is {2} elements, the GPU needs 0 to {3}", name,
                              dimension, stride, limit - 1));
  throw Error(ErrorCode::invalid_argument,
              llvm::formatv("{0}: {1}_stride is {2} bytes, the GPU needs a multiple of {3}", name,
                            dimension, stride * bytes(type), alignment));
}

}  // namespace

BoxedTensor boxed(const Tensor& t, int rows, void* anywhere, int l2_bytes) {
  const bool empty = t.batch == 0 || t.seq == 0 || t.heads == 0;
  const auto size = [](std::int64_t n) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(n, 1));
  };
  // Strides of dimensions of size 1 may be anything; the driver wants multiples of 16.
  const auto stride = [&](std::int64_t n, std::int64_t elements) {
    return static_cast<std::uint64_t>(n > 1 ? elements * bytes(t.dtype) : alignment);
  };
  const int columns = chunk_columns(static_cast<int>(size(t.dim)));
  // Of a tensor without elements, the 16 bytes there are all that a box may read.
  if (empty) {
    constexpr std::uint64_t apart = alignment;
    return {
        anywhere, {apart / bytes(t.dtype), 1, 1, 1}, {apart, apart, apart}, t.dtype, rows, columns,
        l2_bytes};
  }
  return {t.data,
          {size(t.dim), size(t.seq), size(t.heads), size(t.batch)},
          {stride(t.seq, t.seq_stride), stride(t.heads, t.head_stride),
           stride(t.batch, t.batch_stride)},
          t.dtype,
          rows,
          columns,
          l2_bytes};
}

BoxedTensor boxed_sequences(const Tensor& t, int rows, std::int64_t longest, void* anywhere) {
  BoxedTensor box = boxed(t, rows, anywhere);
  if (t.seq == 0 || t.heads == 0) return box;
  // The address of a row is data + (longest - length + r) * stride + (first + length) * stride.
  const std::uint64_t stride = box.byte_strides[0];
  box.data = static_cast<char*>(box.data) - static_cast<std::uint64_t>(longest) * stride;
  box.dims[1] = static_cast<std::uint64_t>(longest);
  box.dims[3] = static_cast<std::uint64_t>(t.seq) + 1;
  box.byte_strides[2] = stride;
  return box;
}

BoxedTensor boxed_by_heads(const Tensor& t, int rows, int heads, void* anywhere) {
  BoxedTensor box = boxed(t, heads, anywhere);
  std::swap(box.dims[1], box.dims[2]);
  std::swap(box.byte_strides[0], box.byte_strides[1]);
  box.planes = rows / heads;
  return box;
}

void require_tma(const char* name, const Tensor& tensor) {
  if (tensor.batch == 0 || tensor.seq == 0 || tensor.heads == 0 || tensor.dim == 0) return;
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.data);
  if (address % alignment != 0)
    throw Error(ErrorCode::invalid_argument,
                llvm::formatv("{0}: data is at {1:x}, the GPU needs a multiple of {2}", name,
                              address, alignment));
  require_stride(name, "batch", tensor.batch, tensor.batch_stride, tensor.dtype);
  require_stride(name, "seq", tensor.seq, tensor.seq_stride, tensor.dtype);
  require_stride(name, "head", tensor.heads, tensor.head_stride, tensor.dtype);
}

}  // namespace streamattn
