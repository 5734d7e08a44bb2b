// What a tuner asks of a device: to build candidates, to check them and to time them.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "measure/forward_case.h"
#include "streamattn/schedule.h"
#include "streamattn/schedule_table.h"
#include "streamattn/target.h"

namespace streamattn {

/// What became of a candidate in one step.
enum class Fate {
  ok,
  refused,   ///< the compiler or the driver did not take it
  wrong,     ///< its result is wrong, or not the same each time
  crashed,   ///< the process that ran it died
  timed_out  ///< it did not end within its limit and was killed
};

/// The enumerator's name; and back, throws Error (invalid_argument).
std::string_view name(Fate fate);
Fate parse_fate(std::string_view text);

/// A step's fate, and the sentence behind it where it is not ok.
struct Outcome {
  Fate fate = Fate::ok;
  std::string reason = {};

  bool ok() const { return fate == Fate::ok; }
};

/// Of the candidate's whole program.
struct BuildOutcome : Outcome {
  int registers = 0;           ///< the most of its kernels
  int spill_bytes = 0;         ///< stored and loaded, of all kernels
  bool is_serialised = false;  ///< ptxas serialised matrix instructions
  double milliseconds = 0;     ///< that compiling took when it was compiled
  bool is_from_cache = false;
};

struct CheckOutcome : Outcome {
  double error = 0, allowed = 0;  ///< relative L2 of O
};

struct TimeOutcome : Outcome {
  std::vector<double> milliseconds = {};  ///< of each run
};

/// What the figures of a device hold for.
struct TuneSite {
  std::string device;  ///< "NVIDIA H200"; the CPU's with its threads
  TimingConditions timed;

  friend bool operator==(const TuneSite&, const TuneSite&) = default;
};

/// A device, or a stand-in. Whatever a candidate does is an outcome; only what makes tuning
/// impossible is thrown.
class TuneDevice {
 public:
  virtual ~TuneDevice() = default;

  virtual const Target& target() const = 0;
  virtual TuneSite site() = 0;

  /// Compiles what serves `problem` with each of `schedules`; `done(i, outcome)` is called once for
  /// each, on this thread, in any order.
  virtual void build(const Problem& problem, const std::vector<Schedule>& schedules,
                     const std::function<void(std::size_t, const BuildOutcome&)>& done) = 0;

  /// Runs a call three times on poisoned outputs and workspace: the results must be right and have
  /// equal bits.
  virtual CheckOutcome check(const ForwardCase& call, const Schedule& schedule) = 0;

  /// Times `runs` runs of a call.
  virtual TimeOutcome time(const ForwardCase& call, const Schedule& schedule, int runs) = 0;
};

}  // namespace streamattn
