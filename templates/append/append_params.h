// Launch parameters of append kernels, which the host shares.
#pragma once

#include "params.h"

namespace streamattn {

/// Where the rows of a tensor go.
struct TargetRowsParams {
  void* data;
  Strides strides;
};

/// What is turned by position, and by how much.
struct RopeParams {
  static constexpr int most_pairs = 128;

  int vectors;             // of a row, from each half of what is turned: dim / 16; 0: nothing is
  int split_half;          // not 0: pairs are columns i and i + dim / 2, else 2 i and 2 i + 1
  const float *cos, *sin;  // [positions, dim / 2], or null
  long long cos_stride, sin_stride;  // from position to position
  int positions;
  // Turns from one position to the next, 64 bits behind the point.
  alignas(16) unsigned long long steps[most_pairs];
};

/// Parameters of append_rows. An item is `item_heads` neighbouring heads of a token, of those of Q,
/// K and V in this order.
struct AppendParams {
  RowsParams q, new_k, new_v;
  TargetRowsParams rotated_q, k, v;
  BatchParams batch;  // k_position is that of row 0 of a sequence in the cache
  RopeParams rope;
  int tokens;  // rows of new_k over all of its batch
  int q_heads, kv_heads;
  int item_heads, token_items;
  int items;
};

}  // namespace streamattn
