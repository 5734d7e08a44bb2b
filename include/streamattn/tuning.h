// Tuning on first use: a program that finds schedules for its own calls.
#pragma once

#include <filesystem>
#include <optional>

#include "streamattn/export.h"
#include "streamattn/jit.h"

namespace streamattn {

/// How a program tunes while it runs.
struct FirstUseOptions {
  /// What the first request for calls of one kind may take beside compiling, but for the step that
  /// is at work when it is over.
  double budget_seconds = 3;

  /// Rows that were found, which later processes take; also good for JitOptions::pins and `--pin`.
  /// An empty path keeps them in memory. Default: streamattn/tuned.toml in $XDG_CONFIG_HOME, else
  /// in $HOME/.config, else in memory.
  std::optional<std::filesystem::path> table = {};
};

/// A tuner for JitOptions::tuner; Jits may share one. The first request for calls that no row fits
/// tries some schedules on random inputs, each checked before it is timed, in this process and on
/// the thread that asks; others that ask meanwhile wait for it. What won is taken from then on for
/// calls of the problem with lengths and numbers of tiles of the same class. Batches whose
/// sequences differ, problems that name scalars (whose values are not known before a launch) and
/// the backward pass are left at the first guess, and so is what a budget is too short for. Throws
/// Error (invalid_config) for a table that cannot be read, (invalid_argument) for a budget that is
/// not positive.
STREAMATTN_API ScheduleTuner tune_on_first_use(const FirstUseOptions& options = {});

}  // namespace streamattn
