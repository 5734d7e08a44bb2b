// What is simplified keeps its meaning: random expressions as they are written against what they
// become.
#include <optional>
#include <random>

#include "compiler/expr/build.h"
#include "compiler/expr/evaluate.h"
#include "tests/support/catch.h"
#include "tests/support/random_expr.h"
#include "tests/support/scratch.h"

using namespace streamattn;

namespace {

constexpr int places = 6;

ExprRole role_of(const Expr& expr) {
  return expr.type() == ExprType::real ? ExprRole::score : ExprRole::mask;
}

bool is_same(float a, float b) { return a == b || (a != a && b != b); }

/// How expressions of one kind fared.
struct Count {
  int refused = 0;  // constants grew beyond 32 bits
  int overflowed = 0;
  int constant = 0;
  int compared = 0;
};

void check_meaning(const SyntaxTree& tree, const Expr& expr, std::mt19937_64& random,
                   Count& count) {
  for (int i = 0; i < places; i++) {
    const ExprPlace place = ExprPlace::random(random);
    try {
      const ExprValue<float> wanted = tree.value(place), found = value_of<float>(expr, place);
      if (wanted.integer == found.integer && is_same(wanted.real, found.real)) {
        count.compared++;
        continue;
      }
      CAPTURE(tree.text(), expr.text(), place.variable(Variable::q), place.variable(Variable::k),
              wanted.integer, found.integer, wanted.real, found.real);
      CHECK(false);
    } catch (const IntegerOverflow&) {
      count.overflowed++;
    }
  }
}

/// Simplifies `tree`, checks that it keeps its meaning and that its text is read as the same.
void check(const SyntaxTree& tree, std::mt19937_64& random, Count& count) {
  std::optional<Expr> made;
  try {
    made = tree.expr();
  } catch (const Error& error) {
    count.refused++;
    CAPTURE(tree.text());
    REQUIRE_THAT(error.what(), contains_text("is not within +-2147483647"));
    REQUIRE_THROWS_AS(Expr::parse(tree.text(), ExprRole::score), Error);
    return;
  }
  CAPTURE(tree.text());
  const Expr expr = *made;
  count.constant += expr.node().is_constant() ? 1 : 0;
  check_meaning(tree, expr, random, count);
  if (!Expr::parse(tree.text(), role_of(expr)).same_as(expr)) {
    CAPTURE(expr.text(), Expr::parse(tree.text(), role_of(expr)).text());
    FAIL("the text is another expression than the operators make");
  }
  const std::string text = expr.text();
  const Expr again = Expr::parse(text, role_of(expr));
  if (!again.same_as(expr)) {
    CAPTURE(text, again.text());
    FAIL("the canonical text is another expression");
  }
  if (expr.type() == ExprType::boolean) {
    const Expr opposite = !expr;
    const bool is_undone = (!opposite).same_as(expr);
    if (!is_undone || !(opposite && expr).same_as(false) || !(opposite || expr).same_as(true)) {
      CAPTURE(text, opposite.text());
      FAIL("not the opposite");
    }
  }
  if (expr.node().is_constant()) return;
  // A pass that changes nothing.
  REQUIRE(substitute(expr, {{Variable::q, variable(Variable::q)}}).same_as(expr));
}

Count check_many(int expressions, std::uint64_t seed, const RandomExprOptions& options) {
  RandomExprs exprs(seed, options);
  std::mt19937_64 random(seed + 1);
  Count count;
  for (int i = 0; i < expressions; i++)
    check(i % 2 == 0 ? exprs.mask() : exprs.score(), random, count);
  return count;
}

}  // namespace

TEST_CASE("random expressions mean the same when simplified, and their text is read as the same") {
  const int expressions = 6000;
  const Count count = check_many(expressions, 1, {});
  CHECK(count.refused == 0);
  CHECK(count.constant < expressions / 10);
  CHECK(count.compared > expressions * places * 99 / 100);
}

TEST_CASE("linear masks mean the same when simplified") {
  const Count count = check_many(2000, 2, {.depth = 6, .has_reals = false, .is_linear = true});
  CHECK(count.refused == 0);
  CHECK(count.overflowed == 0);
}

TEST_CASE("deep expressions mean the same when simplified") {
  const Count count = check_many(1000, 3, {.depth = 7});
  CHECK(count.refused < 100);
}

TEST_CASE("expressions of numbers near the end of 32 bits mean the same or are refused") {
  const Count count = check_many(3000, 4, {.depth = 3, .has_huge_numbers = true});
  CHECK(count.refused < 100);
  CHECK(count.compared > 2000 * places);
}

TEST_CASE("the evaluator of the library computes what masks without names mean") {
  RandomExprs exprs(5, {.depth = 4, .has_names = false, .has_reals = false});
  std::mt19937_64 random(6);
  for (int i = 0; i < 2000; i++) {
    const SyntaxTree tree = exprs.mask();
    const Expr mask = tree.expr();
    for (int n = 0; n < places; n++) {
      const ExprPlace place = ExprPlace::random(random);
      const auto at = [&](Variable which) { return place.variable(which); };
      CAPTURE(tree.text(), mask.text(), at(Variable::q), at(Variable::k));
      CHECK((tree.value(place).integer != 0) == holds_at(mask, {.q = at(Variable::q),
                                                                .k = at(Variable::k),
                                                                .batch = at(Variable::batch),
                                                                .head = at(Variable::head),
                                                                .kv_head = at(Variable::kv_head),
                                                                .q_len = at(Variable::q_len),
                                                                .kv_len = at(Variable::kv_len)}));
    }
  }
}
