// Derivatives, against differences.
#include "compiler/expr/derivative.h"

#include <cmath>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "compiler/expr/build.h"
#include "streamattn/masks.h"
#include "tests/support/catch.h"
#include "tests/support/random_expr.h"
#include "tests/support/scratch.h"

using namespace streamattn;
using namespace streamattn::expr_names;

namespace {

Expr score_of(const std::string& text) { return Expr::parse(text, ExprRole::score); }

std::string derived(const std::string& text, const Expr& by = score) {
  return derivative(score_of(text), by).text();
}

/// `by` in `expr` replaced by the score, which must not be in `expr`.
Expr with_score_for(const Expr& expr, const Expr& by) {
  if (expr.same_as(by)) return score;
  if (expr.node().operands.empty()) return expr;
  std::vector<Expr> operands;
  for (const Expr& operand : expr.node().operands) operands.push_back(with_score_for(operand, by));
  return rebuilt(expr.node(), std::move(operands));
}

/// The difference quotient at a place around which the expression is smooth and tame.
std::optional<double> slope(const Expr& expr, const ExprPlace& place) {
  const double step = 1e-4;
  std::vector<bool> choices[3];
  double values[3] = {};
  for (int i = 0; i < 3; i++) {
    ExprPlace near = place;
    near.score += (i - 1) * step;
    values[i] = value_of<double>(expr, near, &choices[i]).real;
    if (!(std::abs(values[i]) < 1e4)) return {};
  }
  if (choices[0] != choices[1] || choices[1] != choices[2]) return {};
  const double forward = (values[2] - values[1]) / step, back = (values[1] - values[0]) / step;
  // Curved too much for a difference to tell.
  if (std::abs(forward - back) > 1e-2 * (1 + std::abs(forward + back))) return {};
  return (values[2] - values[0]) / (2 * step);
}

/// How many places of some were compared.
int check_slopes(const Expr& expr, const Expr& slopes, std::mt19937_64& random) {
  int compared = 0;
  for (int i = 0; i < 5; i++) {
    const ExprPlace place = ExprPlace::random(random);
    const std::optional<double> wanted = slope(expr, place);
    if (!wanted) continue;
    const double found = value_of<double>(slopes, place).real;
    // Flat behind an infinity, as tanh(1 / 0) is.
    if (!std::isfinite(found)) continue;
    CAPTURE(expr.text(), slopes.text(), place.score, *wanted, found);
    // Differences of values near 1e4 are exact to some 1e-8.
    CHECK(std::abs(found - *wanted) <= 1e-3 * (1 + std::abs(*wanted)));
    compared++;
  }
  return compared;
}

}  // namespace

TEST_CASE("derivatives are written as one would") {
  CHECK(derived("score") == "1.0");
  CHECK(derived("3") == "0.0");
  CHECK(derived("score + slope[head] * (k - q)") == "1.0");
  CHECK(derived("score * temperature[q]") == "temperature[q]");
  CHECK(derived("score - 2 * score") == "-1.0");
  CHECK(derived("score / cap") == "1.0 / cap");
  CHECK(derived("cap / score") == "-(cap / score) / score");
  CHECK(derived("exp(score)") == "exp(score)");
  CHECK(derived("log(score)") == "1.0 / score");
  CHECK(derived("sqrt(score)") == "1.0 / (2.0 * sqrt(score))");
  CHECK(derived("tanh(score)") == "1.0 - tanh(score) * tanh(score)");
  CHECK(derived("abs(score)") == "select(score < 0.0, -1.0, 1.0)");
  CHECK(derived("min(score, cap)") == "select(score == min(score, cap), 1.0, 0.0)");
  CHECK(derived("max(score, cap)") == "select(score == max(score, cap), 1.0, 0.0)");
  CHECK(derived("select(k <= q, score, -score)") == "select(k <= q, 1.0, -1.0)");
  CHECK(derived("select(score < 1, 2, 3)") == "0.0");
  CHECK(derived("k // 2 + abs(q - k) * 1.0") == "0.0");
}

TEST_CASE("an element of a tensor and a scalar are variables as well") {
  const TensorName bias("bias", DType::f32);
  CHECK(derived("score + bias[k] * bias[k]", bias(k)) == "bias[k] + bias[k]");
  CHECK(derived("score + bias[k] * bias[q]", bias(k)) == "bias[q]");
  CHECK(derived("score + bias[k + 1]", bias(k)) == "0.0");
  CHECK(derived("score * cap", scalar("cap", DType::f32)) == "score");
}

TEST_CASE("derivatives of random scores are the slopes of these") {
  RandomExprs exprs(11, {.depth = 4});
  std::mt19937_64 random(12);
  int compared = 0;
  for (int i = 0; i < 4000; i++) {
    const Expr expr = exprs.score().expr();
    compared += check_slopes(expr, derivative(expr, score), random);
  }
  CHECK(compared > 8000);
}

TEST_CASE("derivatives with respect to elements and scalars are the slopes of scores, too") {
  // The element is looked at as the score is, in scores that have none.
  RandomExprs exprs(13, {.depth = 4});
  std::mt19937_64 random(14);
  int compared = 0;
  for (int i = 0; i < 4000; i++) {
    const Expr with_score = exprs.score().expr();
    const Expr element = TensorName("other", DType::f16)(batch, k);
    const Expr expr = substitute(with_score, {{Variable::score, element}});
    const Expr slopes = derivative(expr, element);
    compared += check_slopes(with_score, with_score_for(slopes, element), random);
  }
  CHECK(compared > 8000);
}

TEST_CASE("the derivative of a long chain of parts in common stays small") {
  Expr chain = score;
  for (int i = 0; i < 30; i++) chain = tanh(chain + 0.5);
  const Expr slopes = derivative(chain, score);
  CHECK(score_of(slopes.text()).same_as(slopes));
  Expr product = score;
  for (int i = 0; i < 90; i++) product = product * exp(score);
  CHECK_THAT(error_of([&] { derivative(product, score); }),
             contains_text("invalid_problem: expression: "));
}
