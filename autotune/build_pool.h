// Compiles many candidates at a time, each in a process that is killed where it takes too long.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autotune/tune_device.h"
#include "autotune/worker_process.h"

namespace streamattn {

/// Processes that compile. They publish into the kernel cache; what comes back is what the compiler
/// said.
class BuildPool {
 public:
  using Done = std::function<void(std::size_t, const BuildOutcome&)>;

  /// Starts at most `processes` of `command`. A build may take `limit`, or eight times the median
  /// of those before it.
  BuildPool(const std::vector<std::string>& command, int processes,
            std::chrono::milliseconds limit);

  /// Builds all of `requests`, lines for serve_worker(), and calls `done` for each.
  void run(const std::vector<std::string>& requests, const Done& done);

 private:
  struct Slot {
    std::unique_ptr<WorkerProcess> process;
    std::size_t request = 0;
    WorkerProcess::Clock::time_point begin;
    bool is_busy = false;
  };

  void start(Slot& slot, std::size_t request, const std::string& line);
  std::optional<BuildOutcome> look_at(Slot& slot);
  WorkerProcess::Clock::duration limit() const;

  const std::vector<std::string>& command_;
  const std::size_t processes_;
  const std::chrono::milliseconds limit_;
  std::vector<double> seconds_;  // of builds so far
};

}  // namespace streamattn
