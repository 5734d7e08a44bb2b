// The canonical text of expressions.
#include <algorithm>
#include <charconv>

#include "compiler/expr/build.h"
#include "compiler/expr/refuse.h"

namespace streamattn {
namespace {

/// How tightly an operator binds.
enum class Binding { logical_or, logical_and, comparison, sum, product, unary, primary };

struct Printed {
  std::string text;
  Binding binding;
};

/// The shortest text that reads as the same float32, and as a real.
std::string real_text(double value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, static_cast<float>(value)).ptr;
  std::string text(digits, end);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

class Printer {
 public:
  explicit Printer(ExprRole role) : role_(role) {}

  Printed print(const Expr& expr) const {
    const ExprNode& node = expr.node();
    const auto& x = node.operands;
    switch (node.op) {
      case ExprOp::constant:
        return constant(node);
      case ExprOp::variable:
        return {std::string(name(node.variable)), Binding::primary};
      case ExprOp::scalar:
        return {typed_name(node), Binding::primary};
      case ExprOp::element:
        return {typed_name(node) + "[" + Printer(ExprRole::mask).list(x) + "]", Binding::primary};
      case ExprOp::sum:
        return sum(Linear(expr));
      case ExprOp::multiply:
        return binary(x[0], " * ", x[1], Binding::product);
      case ExprOp::floor_divide:
        return binary(x[0], " // ", x[1], Binding::product);
      case ExprOp::modulo:
        return binary(x[0], " % ", x[1], Binding::product);
      case ExprOp::divide:
        return binary(x[0], " / ", x[1], Binding::product);
      case ExprOp::add:
        return binary(x[0], " + ", x[1], Binding::sum);
      case ExprOp::subtract:
        return binary(x[0], " - ", x[1], Binding::sum);
      case ExprOp::negate:
        return {"-" + within(x[0], Binding::unary), Binding::unary};
      case ExprOp::to_real:
        return print(x[0]);
      case ExprOp::minimum:
        return overloaded("min", x);
      case ExprOp::maximum:
        return overloaded("max", x);
      case ExprOp::absolute:
        return call("abs", x);
      case ExprOp::select:
        return overloaded("select", x);
      case ExprOp::exp:
        return call("exp", x);
      case ExprOp::log:
        return call("log", x);
      case ExprOp::tanh:
        return call("tanh", x);
      case ExprOp::sqrt:
        return call("sqrt", x);
      case ExprOp::bit:
        return call("bit", x);
      case ExprOp::at_most_zero:
        return bound(Linear(x[0]));
      case ExprOp::is_zero:
        return equation(Linear(x[0]), " == ");
      case ExprOp::is_not_zero:
        return equation(Linear(x[0]), " != ");
      case ExprOp::less:
        return binary(x[0], " < ", x[1], Binding::comparison);
      case ExprOp::less_equal:
        return binary(x[0], " <= ", x[1], Binding::comparison);
      case ExprOp::equal:
        return binary(x[0], " == ", x[1], Binding::comparison);
      case ExprOp::logical_not:
        return {"!" + within(x[0], Binding::unary), Binding::unary};
      case ExprOp::logical_and:
        return joined(x, " && ", Binding::logical_and);
      case ExprOp::logical_or:
        return joined(x, " || ", Binding::logical_or);
    }
    return {};
  }

 private:
  static Printed constant(const ExprNode& node) {
    if (node.type == ExprType::boolean)
      return {node.value != 0 ? "true" : "false", Binding::primary};
    const bool is_negative = node.type == ExprType::real ? node.real < 0 : node.value < 0;
    return {node.type == ExprType::real ? real_text(node.real) : std::to_string(node.value),
            is_negative ? Binding::unary : Binding::primary};
  }

  std::string typed_name(const ExprNode& node) const {
    const DType silent = role_ == ExprRole::mask ? DType::i32 : DType::f32;
    if (node.dtype == silent) return node.name;
    return node.name + ":" + std::string(name(node.dtype));
  }

  /// In parentheses where it binds less tightly than `binding`.
  std::string within(const Expr& expr, Binding binding) const {
    Printed inner = print(expr);
    return inner.binding < binding ? "(" + inner.text + ")" : inner.text;
  }

  // Operators read from the left: what stands on the right binds tighter.
  Printed binary(const Expr& a, const char* op, const Expr& b, Binding binding) const {
    const auto tighter = static_cast<Binding>(static_cast<int>(binding) + 1);
    const Binding left = binding == Binding::comparison ? tighter : binding;
    const bool integers = is_converted(a) && is_converted(b) && op != std::string_view(" / ");
    return {(integers ? spelled_as_real(a) : within(a, left)) + op + within(b, tighter), binding};
  }

  static bool is_converted(const Expr& expr) { return expr.node().op == ExprOp::to_real; }

  // Between integers an operator would be one of integers.
  std::string spelled_as_real(const Expr& converted) const {
    return "(" + within(converted, Binding::product) + " * 1.0)";
  }

  Printed joined(const std::vector<Expr>& parts, const char* op, Binding binding) const {
    std::string text;
    for (const Expr& part : parts)
      text += (text.empty() ? "" : op) +
              within(part, static_cast<Binding>(static_cast<int>(binding) + 1));
    return {text, binding};
  }

  std::string list(const std::vector<Expr>& parts) const {
    std::string text;
    for (const Expr& part : parts) text += (text.empty() ? "" : ", ") + print(part).text;
    return text;
  }

  Printed call(const char* function, const std::vector<Expr>& operands) const {
    return {function + ("(" + list(operands)) + ")", Binding::primary};
  }

  // Of reals or of integers, as its last two operands are.
  Printed overloaded(const char* function, const std::vector<Expr>& operands) const {
    const auto last = operands.end() - 2;
    if (!is_converted(last[0]) || !is_converted(last[1])) return call(function, operands);
    std::string text = list({operands.begin(), last});
    text += (text.empty() ? "" : ", ") + spelled_as_real(last[0]) + ", " + print(last[1]).text;
    return {function + ("(" + text) + ")", Binding::primary};
  }

  // Positive terms in front.
  Printed sum(const Linear& linear) const {
    if (linear.terms.empty()) return constant(Expr(linear.constant).node());
    std::string text;
    int parts = 0;
    Binding alone = Binding::primary;
    const auto add = [&](int sign, const std::string& part, Binding binding) {
      text += text.empty() ? (sign < 0 ? "-" : "") : (sign < 0 ? " - " : " + ");
      text += part;
      alone = binding;
      parts++;
    };
    for (const int sign : {1, -1}) {
      for (const auto& [term, coefficient] : linear.terms) {
        if ((coefficient > 0) != (sign > 0)) continue;
        // A minus in front binds tighter than a product.
        const bool is_negated = text.empty() && sign < 0;
        const Binding needed = is_negated ? Binding::unary : Binding::product;
        const std::int64_t factor = std::abs(coefficient);
        if (factor == 1)
          add(sign, within(term, needed), needed);
        else
          add(sign, within(term, needed) + " * " + std::to_string(factor), Binding::product);
      }
      if (linear.constant * sign > 0)
        add(sign, std::to_string(std::abs(linear.constant)), Binding::primary);
    }
    return {text, parts > 1 ? Binding::sum : alone};
  }

  /// linear <= 0, solved for k, or else q, where it can be.
  Printed bound(Linear linear) const {
    for (const Variable wanted : {Variable::k, Variable::q}) {
      for (auto term = linear.terms.begin(); term != linear.terms.end(); ++term) {
        const ExprNode& node = term->first.node();
        if (node.op != ExprOp::variable || node.variable != wanted) continue;
        if (std::abs(term->second) != 1) break;
        const bool from_above = term->second > 0;  // k <= -rest, or k >= rest
        const std::string left(name(wanted));
        linear.terms.erase(term);
        if (from_above) negate(linear);
        return solved(left, from_above, linear);
      }
    }
    return sides(linear, " <= ");
  }

  // Without a constant on the right where < instead of <= does it.
  Printed solved(const std::string& left, bool from_above, Linear right) const {
    const std::int64_t step = from_above ? 1 : -1;
    const bool is_strict =
        right.constant + step == 0 || (from_above && right.terms.empty() && right.constant != 0 &&
                                       right.constant < largest_integer);
    if (is_strict) right.constant += step;
    const char* op = from_above ? (is_strict ? " < " : " <= ") : (is_strict ? " > " : " >= ");
    return {left + op + sum(right).text, Binding::comparison};
  }

  Printed equation(const Linear& linear, const char* op) const { return sides(linear, op); }

  // Negative terms on the right.
  Printed sides(const Linear& linear, const char* op) const {
    Linear left = linear, right = linear;
    std::erase_if(left.terms, [](const auto& term) { return term.second < 0; });
    std::erase_if(right.terms, [](const auto& term) { return term.second > 0; });
    negate(right);
    (linear.constant > 0 ? right : left).constant = 0;
    return {sum(left).text + op + sum(right).text, Binding::comparison};
  }

  static void negate(Linear& linear) {
    linear.constant = -linear.constant;
    for (auto& term : linear.terms) term.second = -term.second;
  }

  ExprRole role_;
};

}  // namespace

std::string abbreviated(const Expr& expr) {
  constexpr std::size_t longest = 100;
  const std::string text = expr.text();
  return text.size() <= longest ? text : text.substr(0, longest) + "...";
}

std::string Expr::text() const {
  const ExprRole role = type() == ExprType::real ? ExprRole::score : ExprRole::mask;
  return Printer(role).print(*this).text;
}

}  // namespace streamattn
