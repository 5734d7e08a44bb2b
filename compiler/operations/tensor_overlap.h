// Whether strided tensors, and a workspace, share memory.
#pragma once

#include <array>
#include <cstdint>

#include "streamattn/named_args.h"
#include "streamattn/tensor.h"

namespace streamattn {

/// The bytes of a tensor's elements, or of a workspace.
class Footprint {
 public:
  /// Of either, strides span less than 2^62 bytes.
  explicit Footprint(const Tensor& tensor);

  explicit Footprint(const TensorArg& tensor);

  /// Of any size: it ends where addresses do.
  explicit Footprint(const Workspace& workspace);

  /// Whether two elements may be at one place: unless, from the smallest stride to the largest,
  /// every one steps over all that the dimensions before it span.
  bool overlaps_itself() const;

  /// Whether an element of each may share a byte. Tensors that are interleaved in one piece of
  /// memory are told apart where their rows repeat at a common stride, as those of packed
  /// projections do; an arrangement that is too intricate for that counts as overlapping.
  bool overlaps(const Footprint& other) const {
    return begin_ < other.end_ && other.begin_ < end_ && !is_interleaved_with(other);
  }

 private:
  /// A dimension in bytes.
  struct Dimension {
    std::int64_t size, stride;
  };

  void add(std::int64_t size, std::int64_t stride_bytes);
  bool is_interleaved_with(const Footprint& other) const;
  std::int64_t span_below(std::int64_t stride) const;
  bool repeats_at(std::int64_t stride) const;

  std::int64_t begin_ = 0, end_ = 0;  // addresses; equal where there are no elements
  std::int64_t row_bytes_;
  std::array<Dimension, 4> dimensions_ = {};  // those of more than one element
  int count_ = 0;
};

}  // namespace streamattn
