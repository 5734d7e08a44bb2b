// How many rows the sequences of a batch have and where they lie, from arrays in device memory.
#pragma once

#include "params.h"
#include "ptx/global.cuh"

namespace streamattn {

/// Rows that sequence `index` has room for, and how many lie in front of them in a packed tensor.
template <bool packed>
SA_DEVICE int sequence_room(const int* begins, int longest, int index, int& first) {
  if constexpr (!packed) return longest;
  first = load_global(begins + index);
  return min(longest, load_global(begins + index + 1) - first);
}

/// Rows that it has, which are never more.
template <bool packed, bool has_lens>
SA_DEVICE int sequence_rows(const int* begins, const int* lens, int longest, int index,
                            int& first) {
  int length = sequence_room<packed>(begins, longest, index, first);
  if constexpr (has_lens) length = min(length, load_global(lens + index));
  return max(length, 0);
}

}  // namespace streamattn
