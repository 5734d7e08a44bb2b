// What a journal, or the finals, come to without a device: the rows again.
#pragma once

#include <filesystem>

#include "autotune/tune_session.h"

namespace streamattn {

/// The report of the tuning of `job` that wrote `journal`, or the finals in its place, as far as
/// that goes. `method` is that of that tuning, of finals any. Throws Error (invalid_config) for a
/// file that is not of this job.
TuneReport replay_tune_job(const std::filesystem::path& journal, const TuneJob& job,
                           const TuneMethod& method = {});

}  // namespace streamattn
