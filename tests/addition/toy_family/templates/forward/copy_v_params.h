// What the host passes to copy_v.
#pragma once

#include "params.h"

namespace streamattn {

/// Parameters of copy_v. Every tensor has one row in seq.
struct CopyVParams {
  const float *q, *k, *v;
  Strides q_strides, k_strides, v_strides;
  OutputParams output;
  float scale;  // of the score
  int batch, heads;
};

}  // namespace streamattn
