// Gradients of attention on the host CPU: right for every problem, vectorised, on all cores.
#pragma once

#include "compiler/operations/backward/evaluate.h"
#include "runtime/cpu/forward.h"

namespace streamattn {

/// Computes `call` and returns when done; `exprs` and `slopes` are those of the problem. All
/// arithmetic is float32. `call.forward.max_sms` limits the threads; the result does not depend on
/// their number.
///
/// P and dS are computed once for d_q, once for d_k and d_v and once for each gradient of a named
/// tensor, so that every element has one writer. Where no index of a named tensor is the batch, a
/// head or the query by itself, one thread computes its gradient.
///
/// What a query does not see never counts, whatever it holds. Throws Error (launch_failed) where
/// the system has no memory for the tiles, after which any part of the gradients may be written.
void cpu_backward(const Problem& problem, const FlatProblem& exprs, const FlatSlopes& slopes,
                  CpuTileSides tile, const BackwardCall& call);

}  // namespace streamattn
