// Merging shares of attention on the host CPU.
#pragma once

#include "compiler/operations/merge/call.h"

namespace streamattn {

/// Computes `call` and returns when done: `tile_q` rows at a time, on call.max_sms threads, in
/// float32. Throws Error (launch_failed) where the system has no memory, after which any of the
/// rows may be written.
void cpu_merge(int tile_q, const MergeCall& call);

}  // namespace streamattn
