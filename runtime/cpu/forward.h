// Attention on the host CPU: a tiled online softmax, vectorised, on all cores.
#pragma once

#include "compiler/operations/forward/call.h"
#include "streamattn/schedule.h"

namespace streamattn {

/// Computes `call` and returns when done. Any head dims and
/// strides; sums are float32, and probabilities are rounded to bf16 for bf16 problems where the CPU
/// multiplies bf16 faster than float32. `schedule.tile_q` is the most query rows (over all heads
/// that share keys) and `schedule.tile_kv` the keys that are worked on at a time, both at least 1.
/// `call.max_sms` limits the threads. The result depends neither on their number nor on tile_q.
void cpu_forward(const Problem& problem, const Schedule& schedule, const ForwardCall& call);

}  // namespace streamattn
