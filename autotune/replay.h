// What a journal comes to, without a device: the data behind rows, and the rows again.
#pragma once

#include <filesystem>

#include "autotune/tune_session.h"

namespace streamattn {

/// The report of the tuning of `job` that wrote `journal`, as far as that goes. `start` and
/// `method` are those of that tuning. Throws Error (invalid_config) for a file that is no journal
/// of this job.
TuneReport replay_tune_job(const std::filesystem::path& journal, const TuneJob& job,
                           const TuneMethod& method = {});

}  // namespace streamattn
