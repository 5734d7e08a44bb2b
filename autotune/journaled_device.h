// A device whose answers are kept: what a journal holds is not asked again.
#pragma once

#include <exception>
#include <functional>
#include <vector>

#include "autotune/journal_answers.h"

namespace streamattn {

/// Ends tuning before its next step: time is up, or somebody wants it.
class TuningStopped : public std::exception {
 public:
  const char* what() const noexcept override { return "tuning was stopped"; }
};

/// Answers from the journal as long as it has answers, then from `device`, whose answers are
/// written down. Of the runs of a timing the median is kept, in whole nanoseconds.
class JournaledDevice final : public TuneDevice {
 public:
  /// `should_stop` is asked before every step that needs the device. Everything must outlive this.
  JournaledDevice(TuneDevice& device, JournalAnswers& answers, std::function<bool()> should_stop);

  const Target& target() const override { return device_.target(); }
  TuneSite site() override { return device_.site(); }

  /// All of these throw TuningStopped.
  void build(const Problem& problem, const std::vector<Schedule>& schedules,
             const std::function<void(std::size_t, const BuildOutcome&)>& done) override;
  CheckOutcome check(const ForwardCase& call, const Schedule& schedule) override;
  TimeOutcome time(const ForwardCase& call, const Schedule& schedule, int runs) override;

 private:
  void require_going_on() const;

  TuneDevice& device_;
  JournalAnswers& answers_;
  std::function<bool()> should_stop_;
};

}  // namespace streamattn
