// What tuning came to, as text.
#pragma once

#include <llvm/Support/raw_ostream.h>

#include "autotune/tune_session.h"

namespace streamattn {

/// A table with a line for each group, and what the first guess loses in the mean.
void print_tune_summary(const TuneReport& report, llvm::raw_ostream& out);

/// For every group: the finalists and what they differ by, why the winner won, and what was refused
/// why.
void print_tune_explanation(const TuneReport& report, llvm::raw_ostream& out);

}  // namespace streamattn
