// Writes, builds and evaluates expressions as they were written.
#include "tests/support/syntax_tree.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

namespace streamattn {
namespace {

using Kind = SyntaxTree::Kind;
using Value = ExprValue<float>;

std::string number_text(const SyntaxTree& tree) {
  if (tree.type == ExprType::boolean) return tree.number != 0 ? "true" : "false";
  char digits[64];
  const auto end =
      tree.type == ExprType::integer
          ? std::to_chars(digits, digits + sizeof digits, static_cast<std::int64_t>(tree.number))
          : std::to_chars(digits, digits + sizeof digits, tree.number, std::chars_format::fixed, 3);
  return {digits, end.ptr};
}

float real_of(const SyntaxTree& tree, const ExprPlace& place) {
  const Value value = tree.value(place);
  return tree.type == ExprType::real ? value.real : static_cast<float>(value.integer);
}

std::int64_t floored(const std::string& op, std::int64_t a, std::int64_t b) {
  std::int64_t quotient = a / b;
  if (quotient * b > a) --quotient;
  return op == "//" ? quotient : a - quotient * b;
}

bool compared(const std::string& op, auto a, auto b) {
  return op == "<"    ? a < b
         : op == "<=" ? a <= b
         : op == ">"  ? a > b
         : op == ">=" ? a >= b
         : op == "==" ? a == b
                      : a != b;
}

Value integer_value(const SyntaxTree& tree, std::int64_t a, std::int64_t b) {
  const std::string& op = tree.word;
  if (op == "+") return {.integer = checked_sum(a, b)};
  if (op == "-") return {.integer = checked_sum(a, checked_product(-1, b))};
  if (op == "*") return {.integer = checked_product(a, b)};
  if (op == "min") return {.integer = std::min(a, b)};
  if (op == "max") return {.integer = std::max(a, b)};
  return {.integer = floored(op, a, b)};
}

Value real_value(const SyntaxTree& tree, float a, float b) {
  const std::string& op = tree.word;
  const float result = op == "+"      ? a + b
                       : op == "-"    ? a - b
                       : op == "*"    ? a * b
                       : op == "/"    ? a / b
                       : op == "min"  ? std::fmin(a, b)
                       : op == "max"  ? std::fmax(a, b)
                       : op == "abs"  ? std::fabs(a)
                       : op == "exp"  ? std::exp(a)
                       : op == "log"  ? std::log(a)
                       : op == "tanh" ? std::tanh(a)
                                      : std::sqrt(a);
  return {.real = result + 0.0F};
}

}  // namespace

std::string SyntaxTree::text() const {
  std::string list;
  for (const SyntaxTree& part : of) list += (list.empty() ? "" : ", ") + part.text();
  switch (kind) {
    case Kind::number:
      return number_text(*this);
    case Kind::variable:
      return word;
    case Kind::named:
      return word + ":" + std::string(streamattn::name(dtype)) +
             (of.empty() ? "" : "[" + list + "]");
    case Kind::prefix:
      return "(" + word + of[0].text() + ")";
    case Kind::infix:
      return "(" + of[0].text() + " " + word + " " + of[1].text() + ")";
    case Kind::function:
      return word + "(" + list + ")";
  }
  return {};
}

Expr SyntaxTree::expr() const {
  using Binary = Expr (*)(const Expr&, const Expr&);
  using Unary = Expr (*)(const Expr&);
  static const std::map<std::string, Binary> binary = {
      {"+", operator+ },
       {"-", operator- },
        {"*", operator* },
         {"/", operator/ }, {"//", floor_divide},
          {"%", operator% },
           {"<", operator<},
            {"<=", operator<= },
             {">", operator> },
              {">=", operator>= },
               {"==", operator== },
                {"!=", operator!= },
                 {"&&", operator&& },
                  {"||", operator|| }, {"min", min}, {"max", max}, {"bit", bit}};
  static const std::map<std::string, Unary> unary = {
      {"-", operator- },
       {"!", operator!}, {"abs", abs}, {"exp", exp}, {"log", log}, {"tanh", tanh}, {"sqrt", sqrt}};
  switch (kind) {
    case Kind::number:
      if (type == ExprType::boolean) return number != 0;
      if (type == ExprType::integer) return static_cast<std::int64_t>(number);
      return number;
    case Kind::variable:
      return VariableName{variable};
    case Kind::named: {
      const TensorName tensor(word, dtype);
      if (of.empty()) return scalar(word, dtype);
      if (of.size() == 1) return tensor(of[0].expr());
      if (of.size() == 2) return tensor(of[0].expr(), of[1].expr());
      return tensor(of[0].expr(), of[1].expr(), of[2].expr());
    }
    default:
      if (of.size() == 1) return unary.at(word)(of[0].expr());
      if (of.size() == 2) return binary.at(word)(of[0].expr(), of[1].expr());
      return select(of[0].expr(), of[1].expr(), of[2].expr());
  }
}

Value SyntaxTree::value(const ExprPlace& place) const {
  const auto real_at = [&](std::size_t n) { return n < of.size() ? real_of(of[n], place) : 0; };
  const auto integer_at = [&](std::size_t n) {
    return n < of.size() ? of[n].value(place).integer : 0;
  };
  const auto holds = [&](std::size_t n) { return integer_at(n) != 0; };
  const bool are_real = type == ExprType::real;
  if (kind == Kind::number) {
    if (are_real) return {.real = static_cast<float>(number) + 0.0F};
    return {.integer = static_cast<std::int64_t>(number)};
  }
  if (kind == Kind::variable) {
    if (are_real) return {.real = static_cast<float>(place.score)};
    return {.integer = place.variable(variable)};
  }
  if (kind == Kind::named) {
    std::vector<std::int64_t> indices;
    for (std::size_t n = 0; n < of.size(); n++) indices.push_back(integer_at(n));
    const double value = place.named(word, dtype, indices);
    if (are_real) return {.real = static_cast<float>(value) + 0.0F};
    return {.integer = static_cast<std::int64_t>(value)};
  }
  if (word == "select") {
    const SyntaxTree& chosen = holds(0) ? of[1] : of[2];
    if (are_real) return {.real = real_of(chosen, place)};
    const std::int64_t value = chosen.value(place).integer;
    return {.integer = type == ExprType::boolean ? std::int64_t{value != 0} : value};
  }
  if (word == "bit") return {.integer = integer_at(0) >> (integer_at(1) & 31) & 1};
  if (word == "!") return {.integer = holds(0) ? 0 : 1};
  if (word == "&&") return {.integer = holds(0) && holds(1)};
  if (word == "||") return {.integer = holds(0) || holds(1)};
  if (type == ExprType::boolean) {
    if (of[0].type == ExprType::real || of[1].type == ExprType::real)
      return {.integer = compared(word, real_at(0), real_at(1))};
    return {.integer = compared(word, integer_at(0), integer_at(1))};
  }
  if (kind == Kind::prefix) {
    if (are_real) return {.real = -real_at(0) + 0.0F};
    return {.integer = checked_product(-1, integer_at(0))};
  }
  if (are_real) return real_value(*this, real_at(0), real_at(1));
  if (word == "abs") return {.integer = std::abs(integer_at(0))};
  return integer_value(*this, integer_at(0), integer_at(1));
}

}  // namespace streamattn
