// Rows of a schedule table: what they want of a problem and a shape, and how they are read.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "compiler/field_values.h"
#include "streamattn/schedule_table.h"

namespace streamattn {

/// Numbers from one to another, both included.
struct NumberRange {
  std::int64_t first = 0;
  std::int64_t last = std::numeric_limits<std::int64_t>::max();

  bool contains(std::int64_t value) const { return first <= value && value <= last; }

  friend bool operator==(const NumberRange&, const NumberRange&) = default;
};

/// Query tiles of 128 rows over all heads and batch entries: the key "tiles".
std::int64_t tile_count(const Problem& problem, const Shape& shape);

/// A key of `when`: that of a problem's field, or one about the shape.
struct RowCondition {
  std::string_view key;
  std::variant<DType, Expr, NumberRange, SequenceLayout, bool> wanted;

  bool holds_for(const Problem& problem, const Shape& shape) const;

  /// The one value that fits; nothing where several do.
  std::optional<FieldValue> only_value() const;
};

struct ScheduleRow {
  std::string_view target;  ///< a name of the target table
  std::string device;       ///< that it was tuned on; empty: any
  std::optional<Operation> operation;
  std::vector<RowCondition> conditions;
  Schedule schedule;
  TuningRecord record;
  std::string origin;       ///< file and line
  bool is_shipped = false;  ///< with the library

  /// Of shipped rows, whether their family would run it, too: where somebody pinned a schedule that
  /// cannot be used, that is an error, and not for this to hide.
  bool fits(Operation wanted, const Problem& problem, const Shape& shape,
            const Target& where) const;

  /// How far the calls of the row are from this one: octaves of lengths, and one for every field of
  /// the problem that is another. Nothing for other operations, targets and head dims.
  std::optional<double> distance(Operation wanted, const Problem& problem, const Shape& shape,
                                 const Target& where) const;

  /// The first field of a problem that the row leaves open; empty for a tuner's rows, which say
  /// every field. A row cannot say that there is no sink.
  std::string open_field() const;

  /// The problem that a row without an open field is for. Throws Error (invalid_problem).
  Problem only_problem() const;
};

/// Rows never change, so tables share them.
struct ScheduleTable::Rows {
  std::vector<std::shared_ptr<const ScheduleRow>> list;
};

/// The keys of `when` that are about the shape and hold a number or a range.
struct ShapeKey {
  std::string_view name;
  std::int64_t (*value)(const Problem& problem, const Shape& shape);
};
inline constexpr ShapeKey shape_keys[] = {
    {"q_len", [](const Problem&, const Shape& s) { return s.q_len; }},
    {"kv_len", [](const Problem&, const Shape& s) { return s.kv_len; }},
    {"batch", [](const Problem&, const Shape& s) { return s.batch; }},
    {"kv_heads", [](const Problem&, const Shape& s) { return s.kv_heads; }},
    {"tiles", tile_count},
};

/// Calls visit(name, text) for everything that a time holds for.
template <class Conditions, class Visitor>
void for_each_condition(Conditions& timed, Visitor&& visit) {
  visit("driver", timed.driver);
  visit("nvrtc", timed.nvrtc);
  visit("commit", timed.commit);
  visit("l2", timed.l2);
  visit("launch", timed.launch);
}

/// Calls visit(name, field) for every field of a record.
template <class Record, class Visitor>
void for_each_record_field(Record& record, Visitor&& visit) {
  for_each_condition(record.timed, visit);
  visit("shapes", record.shapes);
  visit("us", record.microseconds);
  visit("spread", record.spread);
  visit("noise", record.noise);
  visit("gain", record.gain);
}

/// The rows of TOML `text`. Throws Error (invalid_config) with origin, line and column.
std::vector<ScheduleRow> read_schedule_rows(std::string_view text, std::string_view origin);

}  // namespace streamattn
