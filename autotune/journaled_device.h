// A device whose answers are kept: what a journal holds is not asked again.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "autotune/journal.h"
#include "autotune/tune_device.h"

namespace streamattn {

/// Ends tuning before its next step: time is up, or somebody wants it.
class TuningStopped : public std::exception {
 public:
  const char* what() const noexcept override { return "tuning was stopped"; }
};

/// Answers from the journal as long as it has answers, then from `device`, which it writes down.
/// Equal questions about building and checking have equal answers; timings are told apart by how
/// often that schedule was timed on that call before. So a tuner that asks the same again after a
/// kill gets the same answers and takes the same decisions. Of the runs of a timing the median is
/// kept.
class JournaledDevice final : public TuneDevice {
 public:
  /// `should_stop` is asked before every step that needs the device. Everything must outlive this.
  JournaledDevice(TuneDevice& device, Journal& journal, std::function<bool()> should_stop);

  const Target& target() const override { return device_.target(); }
  TuneSite site() override { return device_.site(); }

  /// All of these throw TuningStopped.
  void build(const Problem& problem, const std::vector<Schedule>& schedules,
             const std::function<void(std::size_t, const BuildOutcome&)>& done) override;
  CheckOutcome check(const ForwardCase& call, const Schedule& schedule) override;
  TimeOutcome time(const ForwardCase& call, const Schedule& schedule, int runs) override;

  /// Steps that the device was asked for.
  std::size_t asked() const { return asked_; }

 private:
  void read(const llvm::json::Object& line);
  void write(const char* step, const std::string& name, llvm::json::Object line);
  void ask();

  TuneDevice& device_;
  Journal& journal_;
  std::function<bool()> should_stop_;
  std::size_t asked_ = 0;
  std::set<std::string> named_;                            // ids whose names the journal has
  std::map<std::string, BuildOutcome> built_;              // by problem and schedule
  std::map<std::string, CheckOutcome> checked_;            // by call and schedule
  std::map<std::string, std::vector<TimeOutcome>> timed_;  // by call and schedule, in order
  std::map<std::string, std::size_t> times_asked_;
};

}  // namespace streamattn
