// Extents and residues of strided tensors.
#include "compiler/operations/tensor_overlap.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace streamattn {
namespace {

constexpr std::int64_t any_stride = std::numeric_limits<std::int64_t>::max();

}  // namespace

Footprint::Footprint(const Tensor& t) : row_bytes_(t.dim * bytes(t.dtype)) {
  if (t.data == nullptr || t.batch == 0 || t.seq == 0 || t.heads == 0 || t.dim == 0) return;
  begin_ = reinterpret_cast<std::intptr_t>(t.data);
  for (const auto& [size, stride] :
       {std::pair(t.batch, t.batch_stride), std::pair(t.seq, t.seq_stride),
        std::pair(t.heads, t.head_stride)})
    add(size, stride * bytes(t.dtype));
  end_ = begin_ + span_below(any_stride);
}

Footprint::Footprint(const TensorArg& t) : row_bytes_(bytes(t.dtype)) {
  if (t.data == nullptr || std::count(t.sizes.begin(), t.sizes.begin() + t.rank, 0) > 0) return;
  begin_ = reinterpret_cast<std::intptr_t>(t.data);
  for (int d = 0; d < t.rank; d++) add(t.sizes[d], t.strides[d] * bytes(t.dtype));
  end_ = begin_ + span_below(any_stride);
}

void Footprint::add(std::int64_t size, std::int64_t stride_bytes) {
  if (size <= 1) return;
  if (stride_bytes < 0) begin_ += (size - 1) * stride_bytes;  // it goes down from data
  dimensions_[count_++] = {size, std::abs(stride_bytes)};
}

Footprint::Footprint(const Workspace& w) : row_bytes_(0) {
  if (w.data == nullptr || w.bytes == 0) return;
  begin_ = reinterpret_cast<std::intptr_t>(w.data);
  const auto addresses = static_cast<std::size_t>(any_stride - begin_);
  row_bytes_ = static_cast<std::int64_t>(std::min(w.bytes, addresses));
  end_ = begin_ + row_bytes_;
}

// Bytes from the first to the last of the elements that lie less than `stride` apart.
std::int64_t Footprint::span_below(std::int64_t stride) const {
  std::int64_t span = row_bytes_;
  for (int i = 0; i < count_; i++)
    if (dimensions_[i].stride < stride) span += (dimensions_[i].size - 1) * dimensions_[i].stride;
  return span;
}

bool Footprint::overlaps_itself() const {
  for (int i = 0; i < count_; i++)
    if (dimensions_[i].stride < span_below(dimensions_[i].stride)) return true;
  // Equal strides are not below each other.
  for (int i = 0; i < count_; i++)
    for (int j = 0; j < i; j++)
      if (dimensions_[i].stride == dimensions_[j].stride) return true;
  return false;
}

// Whether all strides from `stride` on are multiples of it.
bool Footprint::repeats_at(std::int64_t stride) const {
  return std::all_of(dimensions_.begin(), dimensions_.begin() + count_, [&](const Dimension& d) {
    return d.stride < stride || d.stride % stride == 0;
  });
}

// Whether, modulo some stride, all of one and all of the other lie apart.
bool Footprint::is_interleaved_with(const Footprint& other) const {
  const auto are_apart_modulo = [&](std::int64_t stride) {
    if (stride == 0 || !repeats_at(stride) || !other.repeats_at(stride)) return false;
    const std::int64_t distance = ((other.begin_ - begin_) % stride + stride) % stride;
    return distance >= span_below(stride) && stride - distance >= other.span_below(stride);
  };
  for (const Footprint* one : {this, &other})
    for (int i = 0; i < one->count_; i++)
      if (are_apart_modulo(one->dimensions_[i].stride)) return true;
  return false;
}

}  // namespace streamattn
