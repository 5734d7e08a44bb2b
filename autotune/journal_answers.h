// The answers that a journal holds, and those that come to it.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "autotune/journal.h"
#include "autotune/tune_device.h"

namespace streamattn {

/// What tables had for a group, as text: they change, measurements do not.
struct GroupStart {
  std::string in_use;
  std::vector<std::string> near = {};  ///< schedules of the rows that are nearest to it
};

/// Answers by the names of questions. Equal questions about building and checking have equal
/// answers; timings are told apart by how often the same was asked before. So a tuner that asks the
/// same again after a kill gets the same answers and takes the same decisions. Thread-safe.
class JournalAnswers {
 public:
  /// Reads the lines of `journal`, which must outlive this.
  explicit JournalAnswers(Journal& journal);

  std::optional<BuildOutcome> built(const std::string& name) const;
  std::optional<CheckOutcome> checked(const std::string& name) const;

  /// The answer to asking for the same timing once more.
  std::optional<TimeOutcome> timed(const std::string& name);

  /// Keeps an answer, and writes it down. Throws Error (invalid_config) where the disk takes no
  /// more.
  void keep(const std::string& name, const BuildOutcome& outcome);
  void keep(const std::string& name, const CheckOutcome& outcome);
  void keep(const std::string& name, const TimeOutcome& outcome);

  /// What a group began with when the journal did, and a note of it.
  std::optional<GroupStart> start_of(const std::string& group) const;
  void note_start(const std::string& group, const GroupStart& start);

 private:
  void read(const llvm::json::Object& line);
  void write(const char* step, const std::string& name, llvm::json::Object line);

  Journal& journal_;
  mutable std::mutex mutex_;
  std::set<std::string> named_;                            // ids whose names the journal has
  std::map<std::string, BuildOutcome> built_;              // by problem and schedule
  std::map<std::string, CheckOutcome> checked_;            // by call and schedule
  std::map<std::string, std::vector<TimeOutcome>> timed_;  // by call and schedule, in order
  std::map<std::string, std::size_t> times_asked_;
  std::map<std::string, GroupStart> starts_;  // by group
};

}  // namespace streamattn
