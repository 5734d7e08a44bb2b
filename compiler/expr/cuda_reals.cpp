// Writes reals as CUDA.
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <charconv>

#include "compiler/expr/cuda_text.h"

namespace streamattn {
namespace {

std::string real_literal(double value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, static_cast<float>(value)).ptr;
  std::string text(digits, end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text + "f";
}

/// Of a number that binds as tightly as a sign.
std::string opposite(const std::string& text) {
  return text.starts_with('-') ? text.substr(1) : "-" + text;
}

}  // namespace

std::string CudaText::real(const Expr& expr) { return text_of(affine(expr)); }

// Transposed policies are built anew for every tile, when registers are short: a division that is
// rounded to the last bit is a call, and every thread would make it. Around the products of the
// forward pass, ptxas keeps no descriptors in uniform registers over a call.
std::string CudaText::reciprocal(const Expr& divisor) {
  return "reciprocal_approx" + in_parentheses(real(divisor));
}

std::string CudaText::text_of(const Affine& value) {
  if (value.step.empty()) return value.base;
  return in_parentheses(value.base + " + " + value.step + " * float(column)");
}

// A position converted once for a row, and the column by itself: a conversion for every element
// would cost more than the product it is for.
CudaText::Affine CudaText::affine_integer(const Expr& integer_expr) {
  Linear rest(integer_expr);
  const std::int64_t factor = in_constructor_ ? 0 : take_column(rest);
  if (factor == 0) return {"float" + in_parentheses(integer(integer_expr)), ""};
  const std::string others = integer(rest.expr());
  std::string first(name(columns_));
  if (factor != 1) first += llvm::formatv(" * {0}", factor).str();
  return {llvm::formatv("float({0} + {1})", others, first),
          real_literal(static_cast<double>(factor))};
}

// The factors of a product, and what they are divided by where that is uniform.
void CudaText::collect_factors(const Expr& expr, std::vector<Expr>& uniform,
                               std::vector<Expr>& varying, std::vector<Expr>& divisors) {
  const ExprNode& node = expr.node();
  if (is_hoistable(expr)) {
    uniform.push_back(expr);
  } else if (node.op == ExprOp::multiply) {
    for (const Expr& factor : node.operands) collect_factors(factor, uniform, varying, divisors);
  } else if (node.op == ExprOp::divide && is_hoistable(node.operands[1])) {
    collect_factors(node.operands[0], uniform, varying, divisors);
    divisors.push_back(node.operands[1]);
  } else {
    varying.push_back(expr);
  }
}

// All uniform factors become one, the scale of the product among them: a member, unless there is
// one that is a constant.
std::string CudaText::uniform_factor(const std::vector<Expr>& uniform,
                                     const std::vector<Expr>& divisors, std::ptrdiff_t scores,
                                     bool is_rounded) {
  std::string factor;
  in_constructor_ = true;
  const auto multiply = [&](char op, const std::string& by) {
    const std::string joint = {' ', op, ' '};
    factor += factor.empty() ? (op == '/' ? "1.0f / " : "") + by : joint + by;
  };
  for (std::ptrdiff_t i = 0; i < scores && !takes_scores_; i++) multiply('*', "params.scale");
  for (const Expr& by : uniform) multiply('*', real(by));
  for (const Expr& by : divisors)
    is_rounded ? multiply('/', real(by)) : multiply('*', reciprocal(by));
  const bool is_literal = uniform.size() == 1 && uniform.front().node().is_constant() &&
                          factor == real(uniform.front());
  in_constructor_ = false;
  if (factor.empty() || is_literal) return factor;
  return member("float", llvm::formatv("hoisted{0}", members_.size()), factor);
}

namespace {

bool is_score(const Expr& expr) {
  return expr.node().op == ExprOp::variable && expr.node().variable == Variable::score;
}

}  // namespace

bool CudaText::is_scaled_score(const Expr& product, std::string& factor) {
  std::vector<Expr> uniform, varying, divisors;
  collect_factors(product, uniform, varying, divisors);
  if (varying.size() != 1 || !is_score(varying.front())) return false;
  factor = uniform_factor(uniform, divisors, 1, false);
  return true;
}

CudaText::Affine CudaText::product(const Expr& expr) {
  std::vector<Expr> uniform, varying, divisors;
  collect_factors(expr, uniform, varying, divisors);
  const std::string factor = uniform_factor(
      uniform, divisors, std::ranges::count_if(varying, is_score), columns_ == Variable::k);

  // What depends on the score last: the rest is the same for more elements.
  std::vector<Expr> ordered;
  for (const bool with_score : {false, true})
    for (const Expr& by : varying)
      if (by.node().uses_variable(Variable::score) == with_score) ordered.push_back(by);
  varying = std::move(ordered);

  if (varying.size() == 1 && !is_score(varying.front())) {
    Affine value = affine(varying.front());
    if (factor.empty()) return value;
    return {in_parentheses(factor + " * " + value.base),
            value.step.empty()     ? ""
            : value.step == "1.0f" ? factor
                                   : in_parentheses(factor + " * " + value.step)};
  }
  std::string text = factor;
  for (const Expr& by : varying)
    text += (text.empty() ? "" : " * ") + (is_score(by) ? std::string("s") : real(by));
  return {in_parentheses(text), ""};
}

CudaText::Affine CudaText::affine(const Expr& expr) {
  const ExprNode& node = expr.node();
  const auto& x = node.operands;
  if (node.op == ExprOp::constant) {
    const std::string literal = real_literal(node.real);
    return {node.real < 0 ? in_parentheses(literal) : literal, ""};
  }
  if (node.op == ExprOp::scalar) return {leaf(node), ""};
  if (!in_constructor_ && is_hoistable(expr)) return {hoisted(expr), ""};
  const auto of = [&](const char* function) -> Affine {
    return {std::string(function) + "(" + real(x[0]) + ")", ""};
  };
  switch (node.op) {
    case ExprOp::variable:
      return product(expr);
    case ExprOp::to_real:
      return affine_integer(x[0]);
    case ExprOp::multiply:
      if (in_constructor_) return {in_parentheses(real(x[0]) + " * " + real(x[1])), ""};
      return product(expr);
    case ExprOp::divide:
      if (!in_constructor_ && is_hoistable(x[1])) return product(expr);
      return {in_parentheses(real(x[0]) + (columns_ == Variable::q ? " * " + reciprocal(x[1])
                                                                   : " / " + real(x[1]))),
              ""};
    case ExprOp::add:
    case ExprOp::subtract: {
      const Affine a = affine(x[0]), b = affine(x[1]);
      const char* op = node.op == ExprOp::add ? " + " : " - ";
      // The column joins the rest of its sum before a product does: the row's part of a position
      // may be large, and what is added to it by itself would lose digits.
      if (x[0].node().uses_variable(Variable::score) != x[1].node().uses_variable(Variable::score))
        return {in_parentheses(text_of(a) + op + text_of(b)), ""};
      const std::string step = b.step.empty()   ? a.step
                               : a.step.empty() ? (*(op + 1) == '-' ? opposite(b.step) : b.step)
                                                : in_parentheses(a.step + op + b.step);
      return {in_parentheses(a.base + op + b.base), step};
    }
    case ExprOp::negate: {
      const Affine a = affine(x[0]);
      return {opposite(a.base), a.step.empty() ? "" : opposite(a.step)};
    }
    case ExprOp::minimum:
      return {"fminf(" + real(x[0]) + ", " + real(x[1]) + ")", ""};
    case ExprOp::maximum:
      return {"fmaxf(" + real(x[0]) + ", " + real(x[1]) + ")", ""};
    case ExprOp::absolute:
      return of("fabsf");
    case ExprOp::select:
      return {
          in_parentheses(in_parentheses(condition(x[0])) + " ? " + real(x[1]) + " : " + real(x[2])),
          ""};
    case ExprOp::exp:
      return of("exp_approx");
    case ExprOp::log:
      return of("log_approx");
    case ExprOp::tanh:
      return of("tangent");
    case ExprOp::sqrt:
      return of("sqrt_approx");
    default:
      return {element(node), ""};
  }
}

}  // namespace streamattn
