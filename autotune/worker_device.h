// A device that is reached through processes that may be killed: what hangs or crashes costs itself
// alone.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <llvm/Support/JSON.h>

#include "autotune/tune_device.h"
#include "autotune/worker_process.h"

namespace streamattn {

/// How long a step may take before its process is killed.
struct WorkerLimits {
  std::chrono::milliseconds build{10'000};  ///< or eight times the median of the builds so far
  std::chrono::milliseconds check{120'000};
  std::chrono::milliseconds time{30'000};  ///< and twenty times what the model says
};

/// Compiles in several processes, checks and times in one more. None is started before it is
/// needed; this process never opens the device.
class WorkerDevice final : public TuneDevice {
 public:
  /// `command` starts a worker (serve_worker) for `target`. Devices with one `build_turn` compile
  /// one after the other, each with all `build_processes`, while others measure. Throws Error
  /// (no_driver, no_device, nvrtc_missing) as the worker does when it is asked for the site.
  WorkerDevice(std::vector<std::string> command, const Target& target, int build_processes,
               WorkerLimits limits = {}, std::shared_ptr<std::mutex> build_turn = nullptr);
  ~WorkerDevice() override;

  const Target& target() const override { return target_; }
  TuneSite site() override;
  void build(const Problem& problem, const std::vector<Schedule>& schedules,
             const std::function<void(std::size_t, const BuildOutcome&)>& done) override;
  CheckOutcome check(const ForwardCase& call, const Schedule& schedule) override;
  TimeOutcome time(const ForwardCase& call, const Schedule& schedule, int runs) override;

 private:
  template <class Result>
  Result ask(llvm::json::Object request, std::chrono::milliseconds limit);

  const std::vector<std::string> command_;
  const Target& target_;
  const int build_processes_;
  const WorkerLimits limits_;
  const std::shared_ptr<std::mutex> build_turn_;
  std::optional<TuneSite> site_;
  std::unique_ptr<WorkerProcess> measuring_;
};

}  // namespace streamattn
