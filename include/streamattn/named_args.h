// Values of the scalars and tensors that a mask, a score or a sink names.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "streamattn/dtype.h"

namespace streamattn {

/// A number for a scalar: of an i32 one a whole number within +-2^30.
struct ScalarArg {
  std::string_view name;
  double value = 0;
};

/// A view of a tensor of `rank` dimensions, 1 to 4: element (i, j, ...) is at data + i * strides[0]
/// + j * strides[1] + ..., counted in elements. Owns nothing.
///
/// An index that leaves a dimension takes its nearest element. Yet where an index is just `q`, `k`,
/// `batch`, `head` or `kv_head`, the dimension must hold all that a call has of these: such an
/// index is never meant to leave it.
struct TensorArg {
  std::string_view name;
  const void* data = nullptr;  ///< on the kernel's device
  DType dtype = DType::f32;
  int rank = 0;
  std::array<std::int64_t, 4> sizes = {};  ///< each below 2^31
  std::array<std::int64_t, 4> strides = {};

  /// A dense tensor, the last dimension contiguous.
  static TensorArg dense(std::string_view name, const void* data, DType dtype,
                         std::initializer_list<std::int64_t> sizes) {
    TensorArg tensor{name, data, dtype, static_cast<int>(sizes.size())};
    std::copy_n(sizes.begin(), std::min<std::size_t>(sizes.size(), 4), tensor.sizes.begin());
    std::int64_t stride = 1;
    for (int d = std::min(tensor.rank, 4) - 1; d >= 0; d--) {
      tensor.strides[d] = stride;
      stride *= tensor.sizes[d];
    }
    return tensor;
  }
};

}  // namespace streamattn
