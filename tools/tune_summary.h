// What tuning came to, as text.
#pragma once

#include <llvm/Support/raw_ostream.h>

#include <string>

#include "autotune/tune_session.h"

namespace streamattn {

/// Why the winner of a group won, as the beginning of a sentence.
std::string why_it_won(const Decision& decision);

/// "the first guess loses 1.8% in the geometric mean, 18.1% at worst"; empty where no group was
/// decided.
std::string regret_sentence(const TuneReport& report);

/// A table with a line for each group, and what the first guess loses in the mean.
void print_tune_summary(const TuneReport& report, llvm::raw_ostream& out);

/// For every group: the finalists and what they differ by, why the winner won, and what was refused
/// why.
void print_tune_explanation(const TuneReport& report, llvm::raw_ostream& out);

}  // namespace streamattn
