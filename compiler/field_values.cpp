// The one switch over the types of a problem's fields.
#include "compiler/field_values.h"

#include <limits>

#include "compiler/problem_fields.h"

namespace streamattn {
namespace {

template <class Value>
std::optional<FieldValue> value_of(const Value& value) {
  return field_value(value);
}
template <class Value>
std::optional<FieldValue> value_of(const std::optional<Value>& value) {
  return value ? value_of(*value) : std::nullopt;
}

// Writes what `given` says to a field; false where it is of another kind.
bool assign(bool& field, const FieldValue& given) {
  const bool* flag = std::get_if<bool>(&given);
  if (flag) field = *flag;
  return flag != nullptr;
}
bool assign(int& field, const FieldValue& given) {
  const auto* number = std::get_if<std::int64_t>(&given);
  if (!number || *number < 0 || *number > std::numeric_limits<int>::max()) return false;
  field = static_cast<int>(*number);
  return true;
}
bool assign(DType& field, const FieldValue& given) {
  const auto* text = std::get_if<std::string>(&given);
  if (text) field = parse_dtype(*text);
  return text != nullptr;
}
bool assign(SequenceLayout& field, const FieldValue& given) {
  const auto* text = std::get_if<std::string>(&given);
  if (text) field = parse_sequence_layout(*text);
  return text != nullptr;
}
bool assign(Expr& field, const FieldValue& given) {
  const auto* text = std::get_if<std::string>(&given);
  const bool is_score = field.type() == ExprType::real;
  if (text) field = Expr::parse(*text, is_score ? ExprRole::score : ExprRole::mask);
  return text != nullptr;
}
bool assign(std::optional<Expr>& field, const FieldValue& given) {
  Expr sink = Problem().score;  // a real number, too
  const bool fits = assign(sink, given);
  if (fits) field = std::move(sink);
  return fits;
}
template <class Value>
bool assign(std::optional<Value>& field, const FieldValue& given) {
  return assign(field.emplace(), given);
}

}  // namespace

FieldValue field_value(bool value) { return value; }
FieldValue field_value(int value) { return std::int64_t{value}; }
FieldValue field_value(std::int64_t value) { return value; }
FieldValue field_value(DType value) { return std::string(name(value)); }
FieldValue field_value(SequenceLayout value) { return std::string(name(value)); }
FieldValue field_value(const Expr& value) { return value.text(); }

void for_each_field_value(
    const Problem& problem,
    const std::function<void(std::string_view, const std::optional<FieldValue>&)>& visit) {
  for_each_problem_field(
      [&](const auto& field) { visit(field.name, value_of(field.value(problem))); });
}

bool set_field_value(Problem& problem, std::string_view name, const FieldValue& value) {
  bool fits = false;
  for_each_problem_field([&](const auto& field) {
    if (field.name == name) fits = assign(problem.*field.member, value);
  });
  return fits;
}

}  // namespace streamattn
