// Attention of one query to one key, all in float32: O is V, and LSE is the score. One thread for a
// row.
#pragma once

#include "forward/copy_v_params.h"
#include "ptx/global.cuh"

namespace streamattn {

/// The kernel. Spec needs head_dim, value_head_dim, group_size and threads, those of a block.
template <class Spec>
SA_DEVICE void copy_v(const CopyVParams& params) {
  int row = blockIdx.x * Spec::threads + threadIdx.x;
  if (row >= params.batch * params.heads) return;
  int batch = row / params.heads, head = row % params.heads;
  auto place = [&](const Strides& strides, int its_head) {
    return batch * strides.batch + its_head * strides.head;
  };
  const float* q = params.q + place(params.q_strides, head);
  const float* k = params.k + place(params.k_strides, head / Spec::group_size);
  const float* v = params.v + place(params.v_strides, head / Spec::group_size);

  const OutputParams& out = params.output;
  float* o = (float*)out.o + place(out.o_strides, head);
  for (int i = 0; i < Spec::value_head_dim; i++) store_global(o + i, load_global(v + i));
  if (!out.lse) return;
  float score = 0;
  for (int i = 0; i < Spec::head_dim; i++)
    score = fmaf(load_global(q + i), load_global(k + i), score);
  store_global(out.lse + place(out.lse_strides, head), params.scale * score);
}

}  // namespace streamattn
