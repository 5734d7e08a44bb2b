// Matching rows, and reading them from TOML.
#include "compiler/schedule_rows.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/ADT/StringExtras.h>
#include <llvm/ADT/StringRef.h>
#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/MathExtras.h>

#include <algorithm>
#include <cmath>
#include <concepts>

#include "compiler/families/family.h"
#include "compiler/family_answers.h"
#include "compiler/problem_fields.h"
#include "compiler/toml.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"
#include "support/did_you_mean.h"

namespace streamattn {
namespace {

using Wanted = decltype(RowCondition::wanted);

bool holds(const Wanted& wanted, DType value) { return std::get<DType>(wanted) == value; }
bool holds(const Wanted& wanted, SequenceLayout value) {
  return std::get<SequenceLayout>(wanted) == value;
}
bool holds(const Wanted& wanted, bool value) { return std::get<bool>(wanted) == value; }
bool holds(const Wanted& wanted, const Expr& value) {
  return std::get<Expr>(wanted).same_as(value);
}
bool holds(const Wanted& wanted, const std::optional<Expr>& value) {
  return value && holds(wanted, *value);
}
template <std::integral Integer>
bool holds(const Wanted& wanted, Integer value) {
  return std::get<NumberRange>(wanted).contains(value);
}

template <class Value>
std::optional<FieldValue> only_of(const Value& value) {
  return field_value(value);
}
std::optional<FieldValue> only_of(const NumberRange& range) {
  return range.first == range.last ? std::optional(field_value(range.first)) : std::nullopt;
}

/// "64..128", "2048..", "..512"; nothing for anything else.
std::optional<NumberRange> parse_range(llvm::StringRef text) {
  NumberRange range;
  const auto [first, last] = text.split("..");
  if (!text.contains("..") || (first.empty() && last.empty())) return std::nullopt;
  if (!first.empty() && first.getAsInteger(10, range.first)) return std::nullopt;
  if (!last.empty() && last.getAsInteger(10, range.last)) return std::nullopt;
  if (range.first < 0 || range.first > range.last) return std::nullopt;
  return range;
}

/// What a terminal would act on is spelled out: "\x1b". Lines stay lines.
std::string printable(std::string_view text) {
  std::string printed;
  for (const char c : text) {
    if (c == '\n' || !llvm::isASCII(c) || llvm::isPrint(c)) {
      printed += c;
    } else {
      printed += "\\x" + llvm::toHex(llvm::StringRef(&c, 1), /*LowerCase=*/true);
    }
  }
  return printed;
}

double octaves_outside(const NumberRange& range, std::int64_t value) {
  const double at = std::log2(static_cast<double>(std::max<std::int64_t>(value, 1)));
  const double first = std::log2(static_cast<double>(std::max<std::int64_t>(range.first, 1)));
  const double last = std::log2(static_cast<double>(std::max<std::int64_t>(range.last, 1)));
  return std::max({first - at, at - last, 0.0});
}

/// Reads one document; every complaint carries the place.
class Reader {
 public:
  explicit Reader(std::string_view origin) : origin_(origin) {}

  std::vector<ScheduleRow> read(const toml::table& document) const {
    std::vector<ScheduleRow> rows;
    for (const auto& [key, node] : document) {
      constexpr std::string_view known[] = {"schedule"};
      if (key.str() != known[0]) fail_unknown(key, "table", known);
      const toml::array* array = node.as_array();
      if (!array || !array->is_array_of_tables())
        fail(node.source(), "schedule is no [[schedule]]");
      for (const toml::node& row : *array) rows.push_back(read_row(*row.as_table()));
    }
    return rows;
  }

  [[noreturn]] void fail(const toml::source_region& place, const std::string& complaint) const {
    throw Error(ErrorCode::invalid_config,
                llvm::formatv("{0}:{1}:{2}: {3}", origin_, place.begin.line, place.begin.column,
                              printable(complaint)));
  }

 private:
  ScheduleRow read_row(const toml::table& table) const {
    ScheduleRow row;
    row.origin = llvm::formatv("{0}:{1}", origin_, table.source().begin.line);
    for (const auto& [key, node] : table) {
      constexpr std::string_view known[] = {"target", "device", "when", "use", "from"};
      if (key.str() == "target") {
        row.target = parsed(key, node, find_target).name;
      } else if (key.str() == "device") {
        row.device = text(key, node);
      } else if (key.str() == "when") {
        read_when(row, inner_table(key, node));
      } else if (key.str() == "use") {
        read_use(row, inner_table(key, node));
      } else if (key.str() == "from") {
        read_record(row.record, inner_table(key, node));
      } else {
        fail_unknown(key, "key", known);
      }
    }
    if (row.target.empty()) fail(table.source(), "the row has no target, such as \"sm_90a\"");
    if (row.schedule.family().empty()) {
      fail(table.source(), "the row names no family, such as use = { family = \"flash_wgmma\" }");
    }
    if (row.open_field().empty()) require_legal(row, table["use"].node()->source());
    return row;
  }

  /// A row for one problem can be judged before anybody has it.
  void require_legal(const ScheduleRow& row, const toml::source_region& use) const {
    const Operation operation = find_family(row.schedule.family()).operation;
    if (row.operation.value_or(operation) != operation) return;  // it never fits
    try {
      check(operation, row.only_problem(), row.schedule, find_target(row.target));
    } catch (const Error& error) {
      fail(use, error.what());
    }
  }

  void read_when(ScheduleRow& row, const toml::table& when) const {
    for (const auto& [key, node] : when) {
      if (key.str() == "op")
        row.operation = parsed(key, node, parse_operation);
      else
        row.conditions.push_back(condition(key, node));
    }
  }

  RowCondition condition(const toml::key& key, const toml::node& node) const {
    std::optional<RowCondition> read;
    for_each_problem_field([&](const auto& field) {
      if (field.name == key.str()) read = {field.name, wanted(key, node, field.value(defaults_))};
    });
    for (const ShapeKey& shape : shape_keys)
      if (shape.name == key.str()) read = {shape.name, range(key, node)};
    if (!read) fail_unknown(key, "condition", known_conditions());
    return *std::move(read);
  }

  static std::vector<std::string_view> known_conditions() {
    std::vector<std::string_view> known = {"op"};
    for_each_problem_field([&](const auto& field) { known.push_back(field.name); });
    for (const ShapeKey& shape : shape_keys) known.push_back(shape.name);
    return known;
  }

  // What is wanted of a value of the last argument's type.
  Wanted wanted(const toml::key& key, const toml::node& node, DType) const {
    return parsed(key, node, parse_dtype);
  }
  Wanted wanted(const toml::key& key, const toml::node& node, const Expr& value) const {
    return parsed(key, node, value.type() == ExprType::real ? parse_score : parse_mask);
  }
  Wanted wanted(const toml::key& key, const toml::node& node, const std::optional<Expr>&) const {
    return wanted(key, node, defaults_.score);
  }
  Wanted wanted(const toml::key& key, const toml::node& node, int) const {
    return range(key, node);
  }
  Wanted wanted(const toml::key& key, const toml::node& node, SequenceLayout) const {
    return parsed(key, node, parse_sequence_layout);
  }
  Wanted wanted(const toml::key& key, const toml::node& node, bool) const {
    if (const auto flag = node.value_exact<bool>()) return *flag;
    fail(node.source(), std::string(key.str()) + " is not true or false");
  }

  void read_use(ScheduleRow& row, const toml::table& use) const {
    for (const auto& [key, node] : use)  // the family says which knobs there are
      if (key.str() == "family") row.schedule = parsed(key, node, new_schedule);
    if (row.schedule.family().empty()) return;
    for (const auto& [key, node] : use) {
      if (key.str() == "family") continue;
      KnobValue value;
      if (const auto flag = node.value_exact<bool>()) {
        value = *flag;
      } else if (const auto number = node.value_exact<std::int64_t>()) {
        value = *number;
      } else if (const auto name = node.value_exact<std::string>()) {
        value = *name;
      } else {
        fail(node.source(), std::string(key.str()) + " is not a number, a name, true or false");
      }
      const auto complaint = set_knob(row.schedule, key.str(), value);
      if (complaint) fail(key.source(), *complaint);
    }
  }

  void read_record(TuningRecord& record, const toml::table& from) const {
    for (const auto& [key, node] : from) {
      std::vector<std::string_view> known;
      bool found = false;
      for_each_record_field(record, [&](std::string_view name, auto& field) {
        known.push_back(name);
        if (name != key.str()) return;
        read_record_field(field, key, node);
        found = true;
      });
      if (!found) fail_unknown(key, "record", known);
    }
    if (record.shapes.size() != record.microseconds.size())
      fail(from.source(), llvm::formatv("{0} shapes have {1} times", record.shapes.size(),
                                        record.microseconds.size()));
  }

  void read_record_field(std::string& field, const toml::key& key, const toml::node& node) const {
    field = text(key, node);
  }
  void read_record_field(double& field, const toml::key& key, const toml::node& node) const {
    const auto number = node.value<double>();
    if (!number) fail(node.source(), std::string(key.str()) + " is not a number");
    field = *number;
  }
  template <class Value>
  void read_record_field(std::vector<Value>& field, const toml::key& key,
                         const toml::node& node) const {
    const toml::array* array = node.as_array();
    if (!array) fail(node.source(), std::string(key.str()) + " is not a list");
    for (const toml::node& element : *array) read_record_field(field.emplace_back(), key, element);
  }

  static Expr parse_mask(std::string_view text) { return Expr::parse(text, ExprRole::mask); }
  static Expr parse_score(std::string_view text) { return Expr::parse(text, ExprRole::score); }
  static Schedule new_schedule(std::string_view family) { return Schedule(family); }

  NumberRange range(const toml::key& key, const toml::node& node) const {
    const auto number = node.value_exact<std::int64_t>();
    if (number && *number >= 0) return {*number, *number};
    const auto written = node.value_exact<std::string_view>();
    if (const auto range =
            written ? parse_range({written->data(), written->size()}) : std::nullopt) {
      return *range;
    }
    fail(node.source(),
         std::string(key.str()) +
             " is not a number or a range such as \"64..128\", \"2048..\", \"..512\"");
  }

  std::string_view text(const toml::key& key, const toml::node& node) const {
    if (const auto text = node.value_exact<std::string_view>()) return *text;
    fail(node.source(), std::string(key.str()) + " is not a string");
  }

  const toml::table& inner_table(const toml::key& key, const toml::node& node) const {
    if (const toml::table* table = node.as_table()) return *table;
    fail(node.source(), std::string(key.str()) + " is not a table { ... }");
  }

  [[noreturn]] void fail_unknown(const toml::key& key, std::string_view what,
                                 std::span<const std::string_view> known) const {
    fail(key.source(), llvm::formatv("unknown {0} \"{1}\", {2}", what, key.str(),
                                     did_you_mean(key.str(), known)));
  }

  /// The string at `node` as `parse` reads it; a complaint gets the place.
  template <class Value>
  Value parsed(const toml::key& key, const toml::node& node,
               Value (*parse)(std::string_view)) const {
    const std::string_view written = text(key, node);
    try {
      return parse(written);
    } catch (const Error& error) {
      fail(node.source(), error.what());
    }
  }

  std::string_view origin_;
  const Problem defaults_;
};

}  // namespace

std::int64_t tile_count(const Problem& problem, const Shape& shape) {
  const auto heads = llvm::SaturatingMultiply<std::uint64_t>(shape.kv_heads, problem.group_size);
  const auto rows = llvm::SaturatingMultiply<std::uint64_t>(shape.batch, heads);
  const auto count = llvm::SaturatingMultiply<std::uint64_t>(rows, (shape.q_len + 127) / 128);
  return static_cast<std::int64_t>(std::min<std::uint64_t>(count, NumberRange{}.last));
}

bool RowCondition::holds_for(const Problem& problem, const Shape& shape) const {
  for (const ShapeKey& known : shape_keys)
    if (known.name == key) return holds(wanted, known.value(problem, shape));
  bool all = true;
  for_each_problem_field([&](const auto& field) {
    if (field.name == key) all = holds(wanted, field.value(problem));
  });
  return all;
}

std::optional<FieldValue> RowCondition::only_value() const {
  return std::visit([](const auto& held) { return only_of(held); }, wanted);
}

bool ScheduleRow::fits(Operation wanted, const Problem& problem, const Shape& shape,
                       const Target& where) const {
  return target == where.name && operation.value_or(wanted) == wanted &&
         find_family(schedule.family()).operation == wanted &&
         std::ranges::all_of(
             conditions,
             [&](const RowCondition& condition) { return condition.holds_for(problem, shape); }) &&
         (!is_shipped || is_served(wanted, problem, schedule, where));
}

std::optional<double> ScheduleRow::distance(Operation wanted, const Problem& problem,
                                            const Shape& shape, const Target& where) const {
  if (target != where.name || find_family(schedule.family()).operation != wanted) return {};
  double sum = 0;
  for (const RowCondition& condition : conditions) {
    if (condition.key == "q_len" || condition.key == "kv_len") {
      const std::int64_t length = condition.key == "q_len" ? shape.q_len : shape.kv_len;
      sum += octaves_outside(std::get<NumberRange>(condition.wanted), length);
      continue;
    }
    const bool is_of_shape = llvm::is_contained(
        llvm::map_range(shape_keys, [](const ShapeKey& key) { return key.name; }), condition.key);
    if (is_of_shape || condition.holds_for(problem, shape)) continue;
    if (condition.key == "head_dim" || condition.key == "value_head_dim") return {};
    sum += 1;
  }
  return sum;
}

std::string ScheduleRow::open_field() const {
  std::string open;
  for_each_field_value(Problem(), [&](std::string_view name, const auto&) {
    const auto condition = std::ranges::find(conditions, name, &RowCondition::key);
    const bool is_said = condition != conditions.end() ? condition->only_value().has_value()
                                                       : name == std::string_view("sink");
    if (!is_said && open.empty()) open = name;
  });
  return open;
}

Problem ScheduleRow::only_problem() const {
  Problem problem;
  for (const RowCondition& condition : conditions)
    if (const auto value = condition.only_value())
      set_field_value(problem, condition.key, *value);  // false for keys about the shape
  return problem;
}

std::vector<ScheduleRow> read_schedule_rows(std::string_view text, std::string_view origin) {
  const Reader reader(origin);
  try {
    return reader.read(parse_toml(text));
  } catch (const toml::parse_error& error) {
    reader.fail(error.source(), std::string(error.description()));
  }
}

}  // namespace streamattn
