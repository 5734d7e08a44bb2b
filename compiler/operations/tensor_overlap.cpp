// Extents and residues of strided tensors.
#include "compiler/operations/tensor_overlap.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>

namespace streamattn {
namespace {

/// A dimension in bytes.
struct Dimension {
  std::int64_t size, stride;
};

/// Those with more than one element, the smallest stride first.
struct Layout {
  explicit Layout(const Tensor& t)
      : begin(reinterpret_cast<std::intptr_t>(t.data)), row_bytes(t.dim * bytes(t.dtype)) {
    for (const auto& [size, stride] :
         {Dimension{t.batch, t.batch_stride}, Dimension{t.seq, t.seq_stride},
          Dimension{t.heads, t.head_stride}})
      if (size > 1) dimensions[count++] = {size, stride * bytes(t.dtype)};
    std::sort(dimensions.begin(), dimensions.begin() + count,
              [](const Dimension& a, const Dimension& b) {
                return std::abs(a.stride) < std::abs(b.stride);
              });
    for (int i = 0; i < count; i++)
      if (dimensions[i].stride < 0) begin += (dimensions[i].size - 1) * dimensions[i].stride;
  }

  /// Bytes from the first to the last of the elements that lie less than `stride` apart.
  std::int64_t span_below(std::int64_t stride) const {
    std::int64_t span = row_bytes;
    for (int i = 0; i < count; i++)
      if (std::abs(dimensions[i].stride) < stride)
        span += (dimensions[i].size - 1) * std::abs(dimensions[i].stride);
    return span;
  }

  /// Whether all strides from `stride` on are multiples of it.
  bool repeats_at(std::int64_t stride) const {
    return std::all_of(dimensions.begin(), dimensions.begin() + count, [&](const Dimension& d) {
      return std::abs(d.stride) < stride || d.stride % stride == 0;
    });
  }

  std::int64_t begin;  // address of the lowest element
  std::int64_t row_bytes;
  std::array<Dimension, 3> dimensions = {};
  int count = 0;
};

bool is_empty(const Tensor& t) {
  return t.data == nullptr || t.batch == 0 || t.seq == 0 || t.heads == 0 || t.dim == 0;
}

/// Whether all of `a` and all of `b` lie at different residues modulo `stride`.
bool are_apart_modulo(const Layout& a, const Layout& b, std::int64_t stride) {
  if (stride <= 0 || !a.repeats_at(stride) || !b.repeats_at(stride)) return false;
  const std::int64_t from_a = ((b.begin - a.begin) % stride + stride) % stride;
  return from_a >= a.span_below(stride) && stride - from_a >= b.span_below(stride);
}

}  // namespace

bool overlaps_itself(const Tensor& tensor) {
  if (is_empty(tensor)) return false;
  const Layout layout(tensor);
  std::int64_t span = layout.row_bytes;
  for (int i = 0; i < layout.count; i++) {
    const auto& [size, stride] = layout.dimensions[i];
    if (std::abs(stride) < span) return true;
    span += (size - 1) * std::abs(stride);
  }
  return false;
}

bool overlaps(const Tensor& a, const Tensor& b) {
  if (is_empty(a) || is_empty(b)) return false;
  const Layout first(a), second(b);
  constexpr std::int64_t any = std::numeric_limits<std::int64_t>::max();
  if (first.begin + first.span_below(any) <= second.begin ||
      second.begin + second.span_below(any) <= first.begin)
    return false;
  for (const Layout* layout : {&first, &second})
    for (int i = 0; i < layout->count; i++)
      if (are_apart_modulo(first, second, std::abs(layout->dimensions[i].stride))) return false;
  return true;
}

}  // namespace streamattn
