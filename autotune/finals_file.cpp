// Writes finals and decides by them.
#include "autotune/finals_file.h"

#include <llvm/Support/FormatVariadic.h>

#include <cmath>
#include <map>

#include "autotune/outcome_json.h"
#include "autotune/tuned_rows.h"
#include "compiler/knobs.h"
#include "streamattn/error.h"
#include "support/spelled_out.h"

namespace streamattn {
namespace {

constexpr const char* format = "streamattn finals 1";

llvm::json::Object runner_json(const Runner& runner) {
  llvm::json::Array rounds;
  for (const std::vector<double>& round : runner.milliseconds) {
    llvm::json::Array times;
    for (const double milliseconds : round)
      times.push_back(static_cast<std::int64_t>(std::llround(1e6 * milliseconds)));
    rounds.push_back(std::move(times));
  }
  return llvm::json::Object{{"schedule", schedule_fields(runner.schedule)},
                            {"ns", std::move(rounds)}};
}

/// What tells a group from the others of a job.
llvm::json::Object group_json(const TuneGroup& group) {
  llvm::json::Array shapes;
  for (const Shape& shape : group.shapes) shapes.push_back(shape_text(shape));
  return llvm::json::Object{{"group", group.describe()}, {"shapes", std::move(shapes)}};
}

std::string group_key(const llvm::json::Object& json) {
  std::string key;
  for (const char* part : {"group", "shapes"})
    if (const llvm::json::Value* value = json.get(part)) key += llvm::formatv("{0};", *value);
  return key;
}

llvm::json::Object result_json(const GroupResult& result) {
  llvm::json::Object json = group_json(result.group);
  if (!result.finals) {
    json["undecided"] = llvm::json::fixUTF8(result.why_undecided);
    return json;
  }
  llvm::json::Array finalists;
  for (const Runner& runner : result.finals->finalists) finalists.push_back(runner_json(runner));
  json["finalists"] = std::move(finalists);
  if (result.finals->again) json["again"] = runner_json(*result.finals->again);
  json["in_use"] = schedule_fields(result.finals->in_use);
  json["first_guess"] = schedule_fields(result.finals->first_guess);
  return json;
}

/// Reads one line.
class LineReader {
 public:
  LineReader(const llvm::json::Object& line, std::string place, const TuneGroup& group)
      : line_(line), place_(std::move(place)), group_(group) {}

  GroupResult result(const Target& target) const {
    GroupResult result{.group = group_};
    if (const auto why = line_.getString("undecided")) {
      result.why_undecided = why->str();
      return result;
    }
    Finals finals{.finalists = {},
                  .again = {},
                  .in_use = schedule_in(line_, "in_use"),
                  .first_guess = schedule_in(line_, "first_guess")};
    const llvm::json::Array* finalists = line_.getArray("finalists");
    if (!finalists || finalists->empty()) fail("has no finalists");
    for (const llvm::json::Value& finalist : *finalists)
      finals.finalists.push_back(runner(finalist.getAsObject()));
    if (const llvm::json::Value* again = line_.get("again"))
      finals.again = runner(again->getAsObject());
    require_equal_rounds(finals);
    result.decision = decide(group_, target, finals);
    result.finals = std::move(finals);
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& complaint) const {
    throw Error(ErrorCode::invalid_config, place_ + spelled_out(complaint));
  }

  Schedule schedule_in(const llvm::json::Object& json, const char* key) const {
    const auto text = json.getString(key);
    if (!text) fail(std::string("has no \"") + key + "\"");
    try {
      return parse_schedule(text->str());
    } catch (const Error& error) {
      fail(std::string("has a schedule that is none: ") + error.what());
    }
  }

  Runner runner(const llvm::json::Object* json) const {
    if (!json) fail("has a finalist that is no object");
    Runner runner{.schedule = schedule_in(*json, "schedule")};
    const llvm::json::Array* rounds = json->getArray("ns");
    if (!rounds || rounds->empty()) fail("has a finalist without rounds");
    for (const llvm::json::Value& round : *rounds) runner.add_round(milliseconds(round));
    return runner;
  }

  /// Of a round: a time for each shape of the group.
  std::vector<double> milliseconds(const llvm::json::Value& round) const {
    const llvm::json::Array* times = round.getAsArray();
    if (!times || times->size() != group_.shapes.size())
      fail(llvm::formatv("has a round without {0} times", group_.shapes.size()));
    std::vector<double> result;
    for (const llvm::json::Value& time : *times) {
      const std::int64_t nanoseconds = time.getAsInteger().value_or(0);
      if (nanoseconds <= 0) fail("has a time that is no number of nanoseconds");
      result.push_back(static_cast<double>(nanoseconds) / 1e6);
    }
    return result;
  }

  void require_equal_rounds(const Finals& finals) const {
    const std::size_t rounds = finals.finalists.front().logs.size();
    bool is_equal = !finals.again || finals.again->logs.size() == rounds;
    for (const Runner& runner : finals.finalists)
      is_equal = is_equal && runner.logs.size() == rounds;
    if (!is_equal) fail("has finalists with different numbers of rounds");
  }

  const llvm::json::Object& line_;
  const std::string place_;
  const TuneGroup& group_;
};

}  // namespace

std::string finals_text(const TuneReport& report) {
  llvm::json::Object head = to_json(report.site);
  head["finals"] = format;
  head["target"] = llvm::StringRef(report.target->name);
  std::string text = llvm::formatv("{0}\n", llvm::json::Value(std::move(head)));
  for (const GroupResult& result : report.results)
    text += llvm::formatv("{0}\n", llvm::json::Value(result_json(result)));
  return text;
}

bool is_finals_head(const llvm::json::Object& head) {
  return head.getString("finals") == llvm::StringRef(format);
}

TuneReport read_finals(const std::vector<llvm::json::Object>& lines, std::string_view origin,
                       const TuneJob& job) {
  const llvm::json::Object& head = lines.front();
  const std::string_view target = head.getString("target").value_or("");
  TuneReport report{.site = read_site(head),
                    .target = &find_target(target),
                    .results = {},
                    .groups = job.groups.size()};
  std::map<std::string, std::size_t> places;  // of the lines of groups
  for (std::size_t i = 1; i < lines.size(); i++) places[group_key(lines[i])] = i;
  for (std::size_t i = 0; i < job.groups.size(); i++) {
    const auto found = places.find(group_key(group_json(job.groups[i])));
    if (found == places.end()) continue;
    const std::string place = llvm::formatv("{0}:{1}: the line ", origin, found->second + 1);
    report.results.push_back(
        LineReader(lines[found->second], place, job.groups[i]).result(*report.target));
    report.results.back().place = i;
    places.erase(found);
  }
  if (!places.empty())
    throw Error(ErrorCode::invalid_config,
                llvm::formatv("{0}:{1}: the line is of a group that the job does not have, or has "
                              "twice",
                              origin, places.begin()->second + 1));
  report.is_complete = report.results.size() == report.groups;
  return report;
}

}  // namespace streamattn
