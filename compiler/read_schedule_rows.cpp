// Reads rows from TOML.
#include <llvm/ADT/StringRef.h>
#include <llvm/Support/FormatVariadic.h>

#include "compiler/families/family.h"
#include "compiler/problem_fields.h"
#include "compiler/schedule_rows.h"
#include "compiler/toml_reader.h"
#include "streamattn/compiler.h"

namespace streamattn {
namespace {

using Wanted = decltype(RowCondition::wanted);

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

/// Reads one document.
class Reader : public TomlReader {
 public:
  using TomlReader::TomlReader;

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

 private:
  ScheduleRow read_row(const toml::table& written) const {
    ScheduleRow row;
    row.origin = llvm::formatv("{0}:{1}", origin(), written.source().begin.line);
    for (const auto& [key, node] : written) {
      constexpr std::string_view known[] = {"target", "device", "when", "use", "from"};
      if (key.str() == "target") {
        row.target = parsed(key, node, find_target).name;
      } else if (key.str() == "device") {
        row.device = text(key.str(), node);
      } else if (key.str() == "when") {
        read_when(row, table(key.str(), node));
      } else if (key.str() == "use") {
        read_use(row, table(key.str(), node));
      } else if (key.str() == "from") {
        read_record(row.record, table(key.str(), node));
      } else {
        fail_unknown(key, "key", known);
      }
    }
    if (row.target.empty()) fail(written.source(), "the row has no target, such as \"sm_90a\"");
    if (row.schedule.family().empty()) {
      fail(written.source(), "the row names no family, such as use = { family = \"flash_wgmma\" }");
    }
    if (row.open_field().empty()) require_legal(row, written["use"].node()->source());
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
    field = text(key.str(), node);
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

  /// The string at `node` as `parse` reads it; a complaint gets the place.
  template <class Value>
  Value parsed(const toml::key& key, const toml::node& node,
               Value (*parse)(std::string_view)) const {
    const std::string written = text(key.str(), node);
    return at(node, [&]() -> Value { return parse(written); });
  }

  const Problem defaults_;
};

}  // namespace

std::vector<ScheduleRow> read_schedule_rows(std::string_view text, std::string_view origin) {
  const Reader reader(origin);
  try {
    return reader.read(parse_toml(text));
  } catch (const toml::parse_error& error) {
    reader.fail(error.source(), std::string(error.description()));
  }
}

}  // namespace streamattn
