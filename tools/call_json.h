// Calls and timings as JSON.
#pragma once

#include <llvm/Support/JSON.h>

#include "measure/rounds.h"
#include "tools/problem_flags.h"

namespace streamattn {

/// The operation, and every field of the problem and the shape under its name.
llvm::json::Object to_json(const ForwardCase& call);

/// Figures of a timing; GB/s from `bytes` where these are what counts, else TFLOP/s from `flops`.
llvm::json::Object to_json(const Timing& timing, double flops, double bytes = 0);

/// JSON has no infinities and no NaN.
llvm::json::Value finite_or_null(double value);

/// 10^12 operations per second.
inline double tflops(double flops, double milliseconds) { return flops / (milliseconds * 1e9); }

}  // namespace streamattn
