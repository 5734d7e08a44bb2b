// Merges decisions and prints them.
#include "autotune/tuned_rows.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "compiler/field_values.h"
#include "compiler/knobs.h"
#include "compiler/schedule_rows.h"
#include "compiler/toml.h"

namespace streamattn {
namespace {

constexpr std::int64_t without_end = std::numeric_limits<std::int64_t>::max();

bool is_square(const TuneGroup& group) { return group.q_len == group.kv_len; }

/// Everything but the lengths.
bool is_alike(const TuneGroup& a, const TuneGroup& b, const Target& target) {
  return a.call.problem == b.call.problem && a.call.layout == b.call.layout &&
         tiles_like(a.call.problem, a.shapes, target) ==
             tiles_like(b.call.problem, b.shapes, target);
}

/// Whether one follows the other in the one length, or the two equal ones, in which they differ.
bool is_followed_by(const TuneGroup& a, const TuneGroup& b) {
  if (is_square(a) && is_square(b)) return a.kv_len.last < b.kv_len.first;
  if (a.q_len == b.q_len) return a.kv_len.last < b.kv_len.first;
  return a.kv_len == b.kv_len && a.q_len.last < b.q_len.first;
}

TunedRow merged(const TunedRow& a, const TunedRow& b) {
  TunedRow row = a;
  row.group.q_len.last = b.group.q_len.last, row.group.kv_len.last = b.group.kv_len.last;
  llvm::append_range(row.group.shapes, b.group.shapes);
  llvm::append_range(row.decision.microseconds, b.decision.microseconds);
  row.decision.spread = std::max(a.decision.spread, b.decision.spread);
  row.decision.noise = std::max(a.decision.noise, b.decision.noise);
  row.decision.gain = std::sqrt(a.decision.gain * b.decision.gain);
  return row;
}

std::string value_text(const std::string& value) { return toml_string(value); }
std::string value_text(double value) { return llvm::formatv("{0:f4}", value); }
std::string value_text(const FieldValue& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  return toml_string(std::get<std::string>(value));
}
std::string value_text(const Lengths& range) {
  if (range.first == range.last) return std::to_string(range.first);
  if (range.last == without_end) return toml_string(std::to_string(range.first) + "..");
  return toml_string(llvm::formatv("{0}..{1}", range.first, range.last).str());
}
template <class Value>
std::string value_text(const std::vector<Value>& values) {
  std::string text;
  for (const Value& value : values) text += (text.empty() ? "" : ", ") + value_text(value);
  return "[" + text + "]";
}

/// The entries of an inline table.
class InlineTable {
 public:
  template <class Value>
  void add(std::string_view key, const Value& value) {
    text_ += (text_.empty() ? " " : ", ") + std::string(key) + " = " + value_text(value);
  }

  std::string text() const { return "{" + text_ + " }"; }

 private:
  std::string text_;
};

std::string when_text(const TunedRow& row, const Target& target) {
  const TuneGroup& group = row.group;
  const Problem& problem = group.call.problem;
  InlineTable when;
  when.add("op", std::string(name(group.call.operation)));
  for_each_field_value(problem, [&](std::string_view name, const auto& value) {
    if (value) when.add(name, *value);
  });
  when.add("q_len", group.q_len);
  when.add("kv_len", group.kv_len);
  when.add("tiles", tiles_like(problem, group.shapes, target));
  return when.text();
}

std::string use_text(const Schedule& schedule) {
  InlineTable use;
  use.add("family", std::string(schedule.family()));
  for (const auto& [knob, value] : settings_beside_defaults(schedule)) use.add(knob, value);
  return use.text();
}

std::string from_text(const TunedRow& row, const TuneSite& site) {
  TuningRecord record{.timed = site.timed,
                      .microseconds = row.decision.microseconds,
                      .spread = row.decision.spread,
                      .noise = row.decision.noise,
                      .gain = row.decision.gain};
  for (const Shape& shape : row.group.shapes) record.shapes.push_back(shape_text(shape));
  InlineTable from;
  for_each_record_field(record,
                        [&](std::string_view name, const auto& field) { from.add(name, field); });
  return from.text();
}

}  // namespace

std::string shape_text(const Shape& shape) {
  return llvm::formatv("{0} x {1} x {2} x {3}", shape.batch, shape.kv_heads, shape.q_len,
                       shape.kv_len);
}

Lengths tiles_like(const Problem& problem, const std::vector<Shape>& shapes, const Target& target) {
  const std::int64_t sms = target.sm_count;
  const std::array<std::int64_t, 6> ends = {-1, sms / 2, sms, 2 * sms, 4 * sms, without_end};
  Lengths all{without_end, 0};
  for (const Shape& shape : shapes) {
    const std::int64_t tiles = tile_count(problem, shape);
    const auto* end = std::ranges::lower_bound(ends, tiles);
    all.first = std::min(all.first, *(end - 1) + 1);
    all.last = std::max(all.last, *end);
  }
  return all;
}

std::vector<TunedRow> tuned_rows(const std::vector<GroupResult>& results, const Target& target) {
  std::vector<TunedRow> rows;
  std::size_t last_place = 0;
  for (const GroupResult& result : results) {
    if (!result.decision) continue;
    TunedRow row{result.group, *result.decision};
    // Not over a group that is undecided, or not finished yet.
    const bool continues = !rows.empty() && result.place <= last_place + 1 &&
                           is_alike(rows.back().group, row.group, target) &&
                           is_followed_by(rows.back().group, row.group) &&
                           rows.back().decision.winner == row.decision.winner;
    if (continues) {
      rows.back() = merged(rows.back(), row);
    } else {
      rows.push_back(std::move(row));
    }
    last_place = result.place;
  }
  return rows;
}

std::string rows_header(const TuneSite& site) {
  return "# Schedules found by `streamattn tune` on " + site.device +
         ": the first row that fits wins. See ScheduleTable.\n";
}

std::string row_toml(const TunedRow& row, const TuneSite& site, const Target& target) {
  return "\n[[schedule]]\ntarget = " + toml_string(target.name) +
         "\ndevice = " + toml_string(site.device) + "\nwhen = " + when_text(row, target) +
         "\nuse = " + use_text(row.decision.winner) + "\nfrom = " + from_text(row, site) + "\n";
}

std::string rows_toml(const std::vector<TunedRow>& rows, const TuneSite& site,
                      const Target& target) {
  std::string text = rows_header(site);
  for (const TunedRow& row : rows) text += row_toml(row, site, target);
  return text;
}

}  // namespace streamattn
