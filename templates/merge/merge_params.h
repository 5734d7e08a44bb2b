// Launch parameters of merge kernels, which the host shares.
#pragma once

#include "params.h"

namespace streamattn {

/// Parameters of merge_shares.
struct MergeParams {
  RowsParams share_o, share_lse;               // of share 0
  long long share_o_stride, share_lse_stride;  // elements from share to share
  OutputParams output;
  int o_is_float, share_is_float;  // not 0: float32, else the 16-bit type of Spec
  int q_len, heads;
  int rows;     // batch * q_len * heads, heads fastest
  int columns;  // value_head_dim, a multiple of 8
  int shares;
};

}  // namespace streamattn
