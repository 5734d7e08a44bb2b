// Prints decisions and the reasons for them.
#include "tools/tune_summary.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "compiler/knobs.h"
#include "measure/statistics.h"
#include "tools/table.h"

namespace streamattn {
namespace {

std::string percent(double ratio, int digits = 1) { return fixed(100 * ratio, digits) + "%"; }

std::string lengths_text(const Lengths& lengths) {
  std::string text = std::to_string(lengths.last);
  return lengths.first == lengths.last ? text : std::to_string(lengths.first) + ".." + text;
}

std::vector<std::string> cells(const GroupResult& result) {
  const TuneGroup& group = result.group;
  std::vector<std::string> row = {std::to_string(group.call.problem.head_dim),
                                  group.call.problem.mask.text(),
                                  lengths_text(group.q_len),
                                  lengths_text(group.kv_len),
                                  std::to_string(group.call.shape.batch),
                                  std::to_string(group.call.heads())};
  if (!result.decision) {
    row.insert(row.end(), {"-", "-", "-", "-", "undecided: " + result.why_undecided});
    return row;
  }
  const Decision& decision = *result.decision;
  row.push_back(fixed(geometric_mean(decision.microseconds), 1));
  row.push_back(fixed(decision.gain, 3));
  row.push_back(percent(decision.spread));
  row.push_back(percent(decision.noise));
  row.push_back(schedule_fields(decision.winner));
  return row;
}

/// How often each outcome came, with one of its reasons.
void print_refusals(const GroupResult& result, llvm::raw_ostream& out) {
  std::map<std::string, std::pair<int, const CandidateRecord*>> by_reason;
  for (const CandidateRecord& candidate : result.candidates) {
    if (candidate.outcome.ok()) continue;
    const llvm::StringRef reason = candidate.outcome.reason;
    auto& [count, first] =
        by_reason[std::string(name(candidate.outcome.fate)) + ": " +
                  reason.take_until([](char c) { return c == '(' || c == '\n'; }).rtrim().str()];
    if (count++ == 0) first = &candidate;
  }
  for (const auto& [reason, which] : by_reason)
    out << llvm::formatv("  {0} x {1}; such as {2}\n", which.first, reason,
                         schedule_fields(which.second->schedule));
}

void print_finalists(const Decision& decision, llvm::raw_ostream& out) {
  Table table({"us", "to fastest", "95% from", "to", "tied", "schedule"});
  for (const Finalist& finalist : decision.finalists)
    table.add({fixed(geometric_mean(finalist.microseconds), 1), fixed(finalist.to_fastest.ratio, 4),
               fixed(finalist.to_fastest.low, 4), fixed(finalist.to_fastest.high, 4),
               finalist.is_tied ? "yes" : "no", schedule_fields(finalist.schedule)});
  table.print(out);
}

void print_group(const GroupResult& result, llvm::raw_ostream& out) {
  out << "\n" << result.group.describe() << "\n";
  std::map<std::string, int> stages;
  for (const CandidateRecord& candidate : result.candidates) stages[candidate.stage]++;
  out << result.candidates.size() << " candidates";
  for (const auto& [stage, count] : stages) out << ", " << count << " " << stage;
  out << "\n";
  if (result.decision) {
    const Decision& decision = *result.decision;
    print_finalists(decision, out);
    out << "winner: " << schedule_fields(decision.winner) << "\n"
        << "  " << why_it_won(decision) << "; the first guess takes " << fixed(decision.gain, 3)
        << " times as long; two entries of one schedule differ by " << percent(decision.noise, 2)
        << "\n";
  } else {
    out << "undecided: " << result.why_undecided << "\n";
  }
  print_refusals(result, out);
}

}  // namespace

std::string why_it_won(const Decision& decision) {
  if (decision.finalists.size() == 1) return "It alone was left";
  if (decision.finalists.front().schedule == decision.winner) return "It was the fastest";
  return std::string("It is tied with the fastest, and ") +
         (decision.winner == decision.first_guess ? "is the first guess" : "is in use or simpler");
}

std::string regret_sentence(const TuneReport& report) {
  const auto regret = regret_of_first_guess(report.results);
  if (!regret) return "";
  return "the first guess loses " + percent(regret->mean) + " in the geometric mean, " +
         percent(regret->worst) + " at worst";
}

void print_tune_summary(const TuneReport& report, llvm::raw_ostream& out) {
  out << report.site.device << "; " << report.site.timed.l2 << " L2, " << report.site.timed.launch
      << " launches; times are medians of a group's shapes, gain is over the first guess\n";
  Table table({"head_dim", "mask", "q_len", "kv_len", "batch", "heads", "us", "gain", "spread",
               "noise", "schedule"});
  for (const GroupResult& result : report.results) table.add(cells(result));
  table.print(out);
  if (const std::string regret = regret_sentence(report); !regret.empty()) out << regret << "\n";
  if (!report.is_complete)
    out << report.results.size() << " of " << report.groups
        << " groups are done; --resume goes on with the rest\n";
}

void print_tune_explanation(const TuneReport& report, llvm::raw_ostream& out) {
  for (const GroupResult& result : report.results) print_group(result, out);
}

}  // namespace streamattn
