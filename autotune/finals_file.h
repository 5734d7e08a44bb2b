// The data that rows are decided by, small enough to be kept beside them.
#pragma once

#include <llvm/Support/JSON.h>

#include <string>
#include <string_view>
#include <vector>

#include "autotune/tune_session.h"

namespace streamattn {

/// The finals of the groups of a report, as lines of JSON: where they were measured in the first,
/// then one for each group, with whole nanoseconds of every round that counts. A hundredth of the
/// journal.
std::string finals_text(const TuneReport& report);

/// Whether lines of JSON that begin with `head` are finals.
bool is_finals_head(const llvm::json::Object& head);

/// The report that `lines` of finals come to for `job`, decided anew. A group of the job without a
/// line is not finished. Throws Error (invalid_config) with `origin` and the line for what
/// finals_text() cannot have written of this job.
TuneReport read_finals(const std::vector<llvm::json::Object>& lines, std::string_view origin,
                       const TuneJob& job);

}  // namespace streamattn
