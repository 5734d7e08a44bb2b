// The device of this process, in this process: a Jit and a workbench.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>

#include "autotune/tune_device.h"
#include "measure/accuracy.h"
#include "measure/operands.h"
#include "streamattn/jit.h"

namespace streamattn {

/// Builds through the kernel cache, runs and times on the device. A candidate that hangs or crashes
/// takes the process with it: WorkerDevice keeps one of these in another.
class LocalDevice final : public TuneDevice {
 public:
  /// Nothing touches a GPU before something is asked that needs one. Throws like Jit::create(), and
  /// what is asked like workbench_for().
  explicit LocalDevice(JitOptions options, const TimingWish& wish = {});
  ~LocalDevice() override;

  const Target& target() const override;
  TuneSite site() override;
  void build(const Problem& problem, const std::vector<Schedule>& schedules,
             const std::function<void(std::size_t, const BuildOutcome&)>& done) override;
  CheckOutcome check(const ForwardCase& call, const Schedule& schedule) override;
  TimeOutcome time(const ForwardCase& call, const Schedule& schedule, int runs) override;

 private:
  struct OpenCall;
  Workbench& bench();
  OpenCall& open(const ForwardCase& call);

  static constexpr std::size_t most_open = 8;  // calls whose tensors are kept

  const JitOptions options_;
  const TimingWish wish_;
  Jit jit_;
  std::unique_ptr<Workbench> bench_;
  std::list<OpenCall> open_;  // the latest in front
};

/// Compiles what serves `problem` with `schedule` on a GPU, through the kernel cache that
/// `options` and the environment name. Needs no GPU and no driver.
BuildOutcome build_program(const Problem& problem, const Schedule& schedule, const Target& target,
                           const JitOptions& options);

}  // namespace streamattn
