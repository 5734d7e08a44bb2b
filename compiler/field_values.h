// What the fields of a problem hold, in the terms of files: TOML rows, JSON.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "streamattn/problem.h"

namespace streamattn {

/// A switch, a number or a text: the name of a type or a layout, an expression.
using FieldValue = std::variant<bool, std::int64_t, std::string>;

FieldValue field_value(bool value);
FieldValue field_value(int value);
FieldValue field_value(std::int64_t value);
FieldValue field_value(DType value);
FieldValue field_value(SequenceLayout value);
FieldValue field_value(const Expr& value);

/// Calls visit(name, value) for every field of `problem`, with what a field that was left out
/// stands for; nothing for a sink that is not there.
void for_each_field_value(
    const Problem& problem,
    const std::function<void(std::string_view, const std::optional<FieldValue>&)>& visit);

/// Gives the field called `name` the value. False for a name that no field has, and for a value of
/// another kind than the field's. Throws Error (invalid_argument, invalid_problem) for a text that
/// says nothing of that kind.
bool set_field_value(Problem& problem, std::string_view name, const FieldValue& value);

}  // namespace streamattn
