// What to tune, how, and where results go, from flags.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "autotune/tuner.h"
#include "tools/flags.h"
#include "tools/gpu_list.h"
#include "tools/output_file.h"
#include "tools/problem_flags.h"
#include "tools/timing_flags.h"

namespace streamattn {

/// A length of time on the command line: "90s", "10m", "1h"; a number alone is seconds.
struct Duration {
  double seconds = 0;
};

void read_value(llvm::StringRef flag, llvm::StringRef text, Duration& value);

/// What the flags of `tune` say.
struct TuneOptions {
  std::optional<std::string> job_file;
  ProblemFlags problem;
  std::optional<std::string> target;
  std::optional<int> device;
  GpuList gpus;
  std::vector<std::string> pins;
  std::optional<std::string> out, journal, finals, block_list, check, report, replay;
  double tolerance = 5;  // percent
  std::optional<Duration> budget;
  int jobs = 0;
  bool resume = false, explain = false, dry_run = false;
  TuneMethod method;
  TimingWish timing;

  void add_to(Flags& flags);

  std::string journal_path() const;

  /// Every file that is read or written.
  std::vector<NamedFile> files() const;
};

}  // namespace streamattn
