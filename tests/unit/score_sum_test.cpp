// Scores that are a product times a constant, and more.
#include <cmath>
#include <numbers>
#include <random>
#include <string>

#include "compiler/expr/build.h"
#include "compiler/expr/score_sum.h"
#include "streamattn/masks.h"
#include "tests/support/catch.h"
#include "tests/support/random_expr.h"
#include "tests/support/scratch.h"

using namespace streamattn;

namespace {

std::string sum_of(const std::string& text) {
  const auto sum = as_sum(Expr::parse(text, ExprRole::score));
  return sum ? std::to_string(sum->factor) + ", " + sum->rest.text() : "none";
}

}  // namespace

TEST_CASE("what a score adds to a product is told from it, in base 2") {
  const std::string log2_e = "1.442695 * ";
  CHECK(sum_of("score") == "1.000000, 0.0");
  CHECK(sum_of("score + slope[head] * (k - q)") ==
        "1.000000, " + log2_e + "(slope[head] * (k - q))");
  CHECK(sum_of("bias[q, k] + score * 2") == "2.000000, " + log2_e + "bias[q, k]");
  CHECK(sum_of("score / 4 + bias[q, k] + 1") == "0.250000, " + log2_e + "(1.0 + bias[q, k])");
  CHECK(sum_of("2 * (score - bias[q, k])") == "2.000000, " + log2_e + "(2.0 * (0.0 - bias[q, k]))");
  CHECK(sum_of("0 - score") == "none");
  CHECK(sum_of("-2 * score + bias[q, k]") == "none");
  CHECK(sum_of("score * temperature[q]") == "none");
  CHECK(sum_of("score + score * bias[q, k]") == "none");
  CHECK(sum_of("30 * tanh(score / 30)") == "none");
  CHECK(sum_of("select(score < 0, score, 0)") == "none");
  CHECK(sum_of("1") == "none");
  CHECK(sum_of("score + 3e38") == "1.000000, " + log2_e + "3e+38");
}

TEST_CASE("sums of random scores are these scores") {
  RandomExprs exprs(21, {.depth = 4});
  std::mt19937_64 random(22);
  int compared = 0;
  for (int i = 0; i < 20000; i++) {
    const Expr expr = exprs.score().expr();
    const auto sum = as_sum(expr);
    if (!sum) continue;
    CHECK(!sum->rest.node().uses_variable(Variable::score));
    const ExprPlace place = ExprPlace::random(random);
    const double rest = value_of<double>(sum->rest, place).real / std::numbers::log2e;
    const double found = sum->factor * place.score + rest;
    const double wanted = value_of<double>(expr, place).real;
    if (!std::isfinite(wanted) || std::abs(wanted) > 1e6) continue;
    CAPTURE(expr.text(), sum->factor, sum->rest.text(), found, wanted);
    CHECK(std::abs(found - wanted) <= 1e-4 * (1 + std::abs(wanted)));
    compared++;
  }
  CHECK(compared > 1000);
}
