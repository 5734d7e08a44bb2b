// A device that is made up: schedules take what a test says, with noise, drift and faults.
#pragma once

#include <functional>
#include <map>
#include <random>
#include <string>

#include "autotune/tune_device.h"

namespace streamattn {

/// How a simulated device behaves.
struct SimulatedWorld {
  std::uint64_t seed = 1;
  double noise = 0.003;      ///< standard deviation of a run, relative
  double stragglers = 0.02;  ///< share of runs that take half as long again
  double drift = 0.05;       ///< how far the card's clock wanders, relative

  std::string device = "Simulated H200";
  std::string l2 = "cold", launch = "eager";  ///< how it says that it is timed

  /// Microseconds that a schedule really takes on a call.
  std::function<double(const ForwardCase&, const Schedule&)> truth;

  /// What becomes of it in a step: "build", "check" or "time".
  std::function<Fate(const std::string& step, const Schedule&)> fate =
      [](const std::string&, const Schedule&) { return Fate::ok; };
};

class SimulatedDevice final : public TuneDevice {
 public:
  explicit SimulatedDevice(SimulatedWorld world, std::string_view target = "sm_90a");

  const Target& target() const override { return target_; }
  TuneSite site() override;
  void build(const Problem& problem, const std::vector<Schedule>& schedules,
             const std::function<void(std::size_t, const BuildOutcome&)>& done) override;
  CheckOutcome check(const ForwardCase& call, const Schedule& schedule) override;
  TimeOutcome time(const ForwardCase& call, const Schedule& schedule, int runs) override;

  std::size_t builds = 0, checks = 0, timings = 0;
  std::map<std::string, std::size_t> timings_of;  ///< by schedule

 private:
  SimulatedWorld world_;
  const Target& target_;
  std::mt19937_64 random_;
  double clock_ = 1;
};

}  // namespace streamattn
