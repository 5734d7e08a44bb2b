// Attention on the host CPU: a tiled online softmax, vectorised, on all cores.
#pragma once

#include "compiler/operations/forward/evaluate.h"

namespace streamattn {

/// Sides of the tiles that the CPU works on, both at least 1.
struct CpuTileSides {
  int q;   ///< most query rows, over all heads that share keys
  int kv;  ///< keys
};

/// Computes `call` and returns when done; `exprs` are those of the problem. Any head dims and
/// strides; sums are float32, and probabilities are rounded to bf16 for bf16 problems where the CPU
/// multiplies bf16 faster than float32. `call.max_sms` limits the threads. The result depends
/// neither on their number nor on `tile.q`.
///
/// A key that a row sees counts whatever its weight, one that it does not see never does. A dot
/// product of Q and K that float32 cannot hold counts as the infinity it rounds to: above, it makes
/// its row NaN; below, its key has the weight 0, and a row that sees only such keys is NaN. All
/// others may be as large as they like, and so may the scale; scales below 2^-100 get differences
/// of 2^128 wrong. An LSE that float32 cannot hold is infinite. However many the keys, none is
/// dropped: sums lose 2^-24 of themselves for each tile at most.
///
/// Throws Error (launch_failed) where the system has no memory for the tiles, after which any part
/// of o and lse may be written.
void cpu_forward(const Problem& problem, const FlatProblem& exprs, CpuTileSides tile,
                 const ForwardCall& call);

}  // namespace streamattn
