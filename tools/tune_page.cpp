// Writes the page of a tuning.
#include "tools/tune_page.h"

#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "compiler/knobs.h"
#include "measure/statistics.h"
#include "tools/table.h"
#include "tools/tune_summary.h"

namespace streamattn {
namespace {

constexpr std::size_t most_maps = 3;  // of a group

constexpr const char* style = R"(
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
       color: #1a1a1a; background: #fff; }
table { border-collapse: collapse; margin: 0.5rem 1.5rem 1rem 0; font-size: 13px; }
th, td { padding: 0.2rem 0.6rem; border: 1px solid #d8d8d8; text-align: right; }
th { background: #f3f3f3; font-weight: 600; }
td.text, th.text { text-align: left; }
tr.winner td { font-weight: 700; }
.maps { display: flex; flex-wrap: wrap; }
caption { text-align: left; font-weight: 600; padding-bottom: 0.2rem; }
code { font-size: 12px; }
details { margin: 0.5rem 0; }
)";

std::string escaped(llvm::StringRef text) {
  std::string escaped;
  llvm::raw_string_ostream out(escaped);
  llvm::printHTMLEscaped(text, out);
  return escaped;
}

std::string number_or_name(const KnobValue& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  return std::get<std::string>(value);
}

/// Names of the family's knobs that have several values among what was timed, those with the most
/// values in front.
std::vector<std::string> varied_knobs(const std::vector<const CandidateRecord*>& timed) {
  std::map<std::string, std::set<KnobValue>> values;
  for (const CandidateRecord* candidate : timed)
    for (const auto& [knob, value] : knob_values(candidate->schedule))
      values[std::string(knob)].insert(value);
  std::vector<std::pair<std::size_t, std::string>> order;
  for (const auto& [knob, some] : values)
    if (some.size() > 1) order.emplace_back(some.size(), knob);
  std::ranges::sort(order, std::greater());
  std::vector<std::string> names;
  for (const auto& [count, knob] : order) names.push_back(knob);
  return names;
}

/// From green, as fast as the best, over yellow to red, twice as slow.
std::string colour(double ratio) {
  const double slow = std::clamp(std::log2(ratio), 0.0, 1.0);
  return llvm::formatv("hsl({0:f0} 65% {1:f0}%)", 130 * (1 - slow), 72 + 8 * slow);
}

/// The best time for each pair of values of two knobs.
void print_map(const std::vector<const CandidateRecord*>& timed, const std::string& across,
               const std::string& down, double best, llvm::raw_ostream& out) {
  std::set<KnobValue> columns, rows;
  std::map<std::pair<KnobValue, KnobValue>, const CandidateRecord*> cells;
  for (const CandidateRecord* candidate : timed) {
    const KnobValue x = candidate->schedule.get(across), y = candidate->schedule.get(down);
    columns.insert(x), rows.insert(y);
    const CandidateRecord*& cell = cells[{y, x}];
    if (!cell || *candidate->microseconds < *cell->microseconds) cell = candidate;
  }
  out << "<table class=\"map\"><caption>" << escaped(down) << " &times; " << escaped(across)
      << ", &micro;s of the best</caption>\n<tr><th></th>";
  for (const KnobValue& x : columns) out << "<th>" << escaped(number_or_name(x)) << "</th>";
  out << "</tr>\n";
  for (const KnobValue& y : rows) {
    out << "<tr><th>" << escaped(number_or_name(y)) << "</th>";
    for (const KnobValue& x : columns) {
      const auto cell = cells.find({y, x});
      if (cell == cells.end()) {
        out << "<td></td>";
        continue;
      }
      const CandidateRecord& candidate = *cell->second;
      out << "<td style=\"background:" << colour(*candidate.microseconds / best) << "\" title=\""
          << escaped(schedule_fields(candidate.schedule)) << "\">"
          << fixed(*candidate.microseconds, 1) << "</td>";
    }
    out << "</tr>\n";
  }
  out << "</table>\n";
}

void print_maps(const GroupResult& result, llvm::raw_ostream& out) {
  std::vector<const CandidateRecord*> timed;
  double best = INFINITY;
  for (const CandidateRecord& candidate : result.candidates) {
    if (!candidate.microseconds) continue;
    if (!timed.empty() && timed.front()->schedule.family() != candidate.schedule.family()) continue;
    timed.push_back(&candidate);
    best = std::min(best, *candidate.microseconds);
  }
  const std::vector<std::string> knobs = varied_knobs(timed);
  out << "<div class=\"maps\">\n";
  for (std::size_t i = 1; i < knobs.size() && i <= most_maps; i++)
    print_map(timed, knobs.front(), knobs[i], best, out);
  out << "</div>\n";
}

void print_decision(const Decision& decision, llvm::raw_ostream& out) {
  out << "<table class=\"finalists\"><caption>Finalists</caption>\n<tr><th>&micro;s</th><th>to "
         "the fastest</th><th>95 %</th><th>tied</th><th class=\"text\">schedule</th></tr>\n";
  for (const Finalist& finalist : decision.finalists) {
    const PairedRatio& ratio = finalist.to_fastest;
    out << (finalist.schedule == decision.winner ? "<tr class=\"winner\">" : "<tr>")
        << llvm::formatv("<td>{0}</td><td>{1:f4}</td><td>{2:f4} to {3:f4}</td><td>{4}</td>",
                         fixed(geometric_mean(finalist.microseconds), 1), ratio.ratio, ratio.low,
                         ratio.high, finalist.is_tied ? "yes" : "no")
        << "<td class=\"text\"><code>" << escaped(schedule_fields(finalist.schedule))
        << "</code></td></tr>\n";
  }
  out << "</table>\n<p>" << why_it_won(decision) << ". The first guess takes "
      << fixed(decision.gain, 3) << " times as long; two entries of one schedule differ by "
      << fixed(100 * decision.noise, 2) << " %.</p>\n";
}

void print_refusals(const GroupResult& result, llvm::raw_ostream& out) {
  std::size_t count = 0;
  for (const CandidateRecord& candidate : result.candidates) count += !candidate.outcome.ok();
  if (count == 0) return;
  out << "<details><summary>" << count << " refused</summary>\n<table class=\"refused\"><tr>"
      << "<th class=\"text\">schedule</th><th class=\"text\">why</th></tr>\n";
  for (const CandidateRecord& candidate : result.candidates)
    if (!candidate.outcome.ok())
      out << "<tr><td class=\"text\"><code>" << escaped(schedule_fields(candidate.schedule))
          << "</code></td><td class=\"text\">" << name(candidate.outcome.fate) << ": "
          << escaped(candidate.outcome.reason) << "</td></tr>\n";
  out << "</table></details>\n";
}

void print_group(const GroupResult& result, llvm::raw_ostream& out) {
  out << "<section>\n<h2>" << escaped(result.group.describe()) << "</h2>\n<p>"
      << result.candidates.size() << " candidates.</p>\n";
  if (result.decision) {
    print_decision(*result.decision, out);
  } else {
    out << "<p>Undecided: " << escaped(result.why_undecided) << "</p>\n";
  }
  print_maps(result, out);
  print_refusals(result, out);
  out << "</section>\n";
}

}  // namespace

std::string tune_page(const TuneReport& report) {
  std::string page;
  llvm::raw_string_ostream out(page);
  out << "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      << "<title>Schedules for " << escaped(report.site.device) << "</title>\n<style>" << style
      << "</style>\n</head>\n<body>\n<h1>Schedules for " << escaped(report.site.device)
      << "</h1>\n<p>" << escaped(report.site.timed.l2) << " L2, "
      << escaped(report.site.timed.launch) << " launches; driver "
      << escaped(report.site.timed.driver.empty() ? "-" : report.site.timed.driver) << ", NVRTC "
      << escaped(report.site.timed.nvrtc.empty() ? "-" : report.site.timed.nvrtc) << ". "
      << report.results.size() << " of " << report.groups << " groups are done.</p>\n";
  if (const auto regret = regret_of_first_guess(report.results))
    out << "<p>The first guess loses " << fixed(100 * regret->mean, 1)
        << " % in the geometric mean, " << fixed(100 * regret->worst, 1) << " % at worst.</p>\n";
  for (const GroupResult& result : report.results) print_group(result, out);
  out << "</body>\n</html>\n";
  return page;
}

}  // namespace streamattn
