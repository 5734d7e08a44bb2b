// Whether strided tensors share memory.
#pragma once

#include "streamattn/tensor.h"

namespace streamattn {

/// Whether two elements of `tensor` may be at one place: unless, from the smallest stride to the
/// largest, every one steps over all that the dimensions before it span.
bool overlaps_itself(const Tensor& tensor);

/// Whether an element of `a` and one of `b` may share a byte. Tensors that are interleaved in one
/// piece of memory are told apart where their rows repeat at a common stride, as those of packed
/// projections do; an arrangement that is too intricate for that counts as overlapping.
bool overlaps(const Tensor& a, const Tensor& b);

}  // namespace streamattn
