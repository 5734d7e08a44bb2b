// Tunes what a program asks for, within a budget, once for each class of calls.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "autotune/learned_rows.h"
#include "autotune/tune_device.h"
#include "autotune/tune_job.h"
#include "streamattn/tuning.h"
#include "support/per_process.h"

namespace streamattn {

/// What stands behind tune_on_first_use(). Thread-safe: one thread tunes, others wait.
class FirstUse {
 public:
  using MakeDevice = std::function<std::unique_ptr<TuneDevice>(const JitOptions&)>;
  using Seconds = std::function<double()>;

  /// `make_device` is called where something is to be tuned, `now` is a clock. Throws as
  /// tune_on_first_use().
  FirstUse(const FirstUseOptions& options, MakeDevice make_device, Seconds now);

  /// A ScheduleTuner. Throws what `make_device` throws.
  std::optional<Choice> choose(const JitOptions& options, Operation operation,
                               const Problem& problem, const Shape& shape);

 private:
  // Of one process: a forked child may have been born while its parent tuned.
  struct Memory {
    std::mutex mutex;
    std::optional<LearnedRows> learned;
    std::map<std::string, TuneSite> sites;  // by target and device
    std::set<std::string> settled;          // groups that were tuned, or cannot be
  };

  const TuneSite& site(Memory& memory, const JitOptions& options) const;
  void tune(Memory& memory, const JitOptions& options, const TuneGroup& group) const;

  const double budget_seconds_;
  const std::filesystem::path table_;
  const MakeDevice make_device_;
  const Seconds now_;
  PerProcess<Memory> memory_;
};

/// The calls that get one schedule with this one: lengths of its classes.
TuneGroup first_use_group(const Problem& problem, const Shape& shape);

}  // namespace streamattn
