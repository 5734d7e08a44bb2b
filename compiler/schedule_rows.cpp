// Matching rows.
#include "compiler/schedule_rows.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/MathExtras.h>

#include <algorithm>
#include <cmath>
#include <concepts>

#include "compiler/families/family.h"
#include "compiler/family_answers.h"
#include "compiler/problem_fields.h"
#include "streamattn/compiler.h"

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

double octaves_outside(const NumberRange& range, std::int64_t value) {
  const double at = std::log2(static_cast<double>(std::max<std::int64_t>(value, 1)));
  const double first = std::log2(static_cast<double>(std::max<std::int64_t>(range.first, 1)));
  const double last = std::log2(static_cast<double>(std::max<std::int64_t>(range.last, 1)));
  return std::max({first - at, at - last, 0.0});
}

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

}  // namespace streamattn
