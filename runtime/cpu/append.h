// Appending to caches on the host CPU.
#pragma once

#include "compiler/operations/append/call.h"

namespace streamattn {

/// Computes `call` and returns when done: `tile_q` new rows at a time, on call.max_sms threads. All
/// arithmetic is float32 but for that of angles. Throws Error (launch_failed) where the system has
/// no memory, after which any of the rows may be written.
void cpu_append(int tile_q, const AppendCall& call);

}  // namespace streamattn
