// Reads, keeps and writes answers.
#include "autotune/journal_answers.h"

#include <llvm/Support/FormatVariadic.h>

#include "autotune/outcome_json.h"
#include "streamattn/error.h"
#include "support/hash.h"
#include "support/spelled_out.h"

namespace streamattn {
namespace {

// Names are long and come often: lines have the beginning of a digest, and the name once.
std::string id_of(const std::string& name) { return base32(digest(name)).substr(0, 16); }

template <class Result>
Result read_result(const llvm::json::Object& json) {
  Result result;
  read_json(json, result);
  return result;
}

template <class Value>
std::optional<Value> find(const std::map<std::string, Value>& values, const std::string& key) {
  const auto found = values.find(key);
  return found == values.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

JournalAnswers::JournalAnswers(Journal& journal) : journal_(journal) {
  int number = 1;  // the head's
  for (const llvm::json::Object& line : journal.lines()) {
    number++;
    try {
      read(line);
    } catch (const Error& error) {
      throw Error(ErrorCode::invalid_config,
                  llvm::formatv("{0}:{1}: the line has an answer that is none: {2}",
                                journal.path().native(), number, spelled_out(error.what())));
    }
  }
}

void JournalAnswers::read(const llvm::json::Object& line) {
  const llvm::StringRef step = line.getString("step").value_or("");
  if (step == "group") {
    GroupStart& start = starts_[line.getString("of").value_or("").str()];
    start.in_use = line.getString("in_use").value_or("").str();
    if (const llvm::json::Array* near = line.getArray("near"))
      for (const llvm::json::Value& schedule : *near)
        start.near.push_back(schedule.getAsString().value_or("").str());
    return;
  }
  const std::string id = line.getString("id").value_or("").str();
  named_.insert(id);
  if (step == "build") built_[id] = read_result<BuildOutcome>(line);
  if (step == "check") checked_[id] = read_result<CheckOutcome>(line);
  if (step == "time") timed_[id].push_back(read_result<TimeOutcome>(line));
}

std::optional<BuildOutcome> JournalAnswers::built(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return find(built_, id_of(name));
}

std::optional<CheckOutcome> JournalAnswers::checked(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return find(checked_, id_of(name));
}

std::optional<TimeOutcome> JournalAnswers::timed(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const std::string id = id_of(name);
  const std::size_t place = times_asked_[id]++;
  const std::vector<TimeOutcome>& known = timed_[id];
  return place < known.size() ? std::optional(known[place]) : std::nullopt;
}

void JournalAnswers::keep(const std::string& name, const BuildOutcome& outcome) {
  const std::lock_guard lock(mutex_);
  built_[id_of(name)] = outcome;
  write("build", name, to_json(outcome));
}

void JournalAnswers::keep(const std::string& name, const CheckOutcome& outcome) {
  const std::lock_guard lock(mutex_);
  checked_[id_of(name)] = outcome;
  write("check", name, to_json(outcome));
}

void JournalAnswers::keep(const std::string& name, const TimeOutcome& outcome) {
  const std::lock_guard lock(mutex_);
  timed_[id_of(name)].push_back(outcome);
  write("time", name, to_json(outcome));
}

void JournalAnswers::write(const char* step, const std::string& name, llvm::json::Object line) {
  const std::string id = id_of(name);
  line["step"] = step, line["id"] = id;
  if (named_.insert(id).second) line["of"] = name;
  journal_.append(line);
}

std::optional<GroupStart> JournalAnswers::start_of(const std::string& group) const {
  const std::lock_guard lock(mutex_);
  return find(starts_, group);
}

void JournalAnswers::note_start(const std::string& group, const GroupStart& start) {
  const std::lock_guard lock(mutex_);
  starts_[group] = start;
  journal_.append(llvm::json::Object{{"step", "group"},
                                     {"of", group},
                                     {"in_use", start.in_use},
                                     {"near", llvm::json::Array(start.near)}});
}

}  // namespace streamattn
