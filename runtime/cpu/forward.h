// Attention on the host CPU: a tiled online softmax, vectorised, on all cores.
#pragma once

#include "compiler/operations/forward/call.h"

namespace streamattn {

/// Sides of the tiles that the CPU works on, both at least 1.
struct CpuTileSides {
  int q;   ///< most query rows, over all heads that share keys
  int kv;  ///< keys
};

/// Computes `call` and returns when done. Any head dims and strides; sums are float32, and
/// probabilities are rounded to bf16 for bf16 problems where the CPU multiplies bf16 faster than
/// float32. `call.max_sms` limits the threads. The result depends neither on their number nor on
/// `tile.q`.
void cpu_forward(const Problem& problem, CpuTileSides tile, const ForwardCall& call);

}  // namespace streamattn
