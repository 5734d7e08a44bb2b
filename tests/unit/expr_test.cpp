// Mask expressions: spelling, errors, evaluation.
#include "streamattn/expr.h"

#include <random>

#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;

TEST_CASE("spellings of one mask are equal and have one canonical text") {
  for (const char* text : {"k <= q", "k<=q", " k\t<=\nq ", "(k <= q)", "((k)<=(q))", "q >= k",
                           "(q)>=k", "((q >= k))"}) {
    INFO(text);
    CHECK(Expr::parse(text) == causal());
    CHECK(Expr::parse(text).text() == "k <= q");
  }
  for (const char* text : {"true", " true ", "(true)", "( ( true ) )"}) {
    INFO(text);
    CHECK(Expr::parse(text) == Expr());
    CHECK(Expr::parse(text).text() == "true");
  }
  CHECK_FALSE(Expr() == causal());
}

TEST_CASE("the canonical text of a mask parses to the same mask") {
  for (const Expr& mask : {Expr(), causal()}) CHECK(Expr::parse(mask.text()) == mask);
}

TEST_CASE("a mask that is not understood is refused with a caret under the culprit") {
  struct Case {
    const char* text;
    const char* complaint;
    std::size_t column;
  };
  const Case cases[] = {
      {"k <= q && k", "this is left over", 7},
      {"k < q", "this is left over", 2},
      {"q <= k", "this comparison is not known", 2},
      {"k <= k", "this comparison is not known", 2},
      {"true <= q", "this comparison is not known", 5},
      {"k <= window", "this name is not known", 5},
      {"causal", "this name is not known", 0},
      {"truest", "this name is not known", 0},
      {"", "something is missing here", 0},
      {"k <=", "something is missing here", 4},
      {"k <= <", "a name is needed here", 5},
      {"(k <= q", "a ')' is needed here", 7},
      {"(k < q)", "a ')' is needed here", 3},
      {" k", "a position alone is not a mask", 1},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    CHECK(error_of([&] { Expr::parse(c.text); }) ==
          std::string("invalid_problem: mask: ") + c.complaint + "\n  " + c.text + "\n  " +
              std::string(c.column, ' ') + "^\na mask is \"true\" or \"k <= q\" so far");
  }
}

TEST_CASE("line breaks in a refused mask do not move the caret") {
  CHECK_THAT(error_of([] { Expr::parse("k\n\t< q"); }), contains_text("\n  k  < q\n     ^\n"));
}

TEST_CASE("parentheses are followed only so deep") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '(') + "k <= q" + std::string(depth, ')');
  };
  CHECK(Expr::parse(nested(64)) == causal());
  CHECK_THAT(error_of([&] { Expr::parse(nested(65)); }),
             contains_text("parentheses are nested too deep"));
  CHECK_THROWS_AS(Expr::parse(nested(1000000)), Error);
}

TEST_CASE("a causal mask shows a query the keys at and before its position") {
  std::mt19937_64 random(20260101);
  std::uniform_int_distribution<long long> position(-1000, 1000000000000);
  for (int i = 0; i < 1000; ++i) {
    const long long q = position(random);
    const long long k = i % 2 ? q + i - 500 : position(random);
    CHECK(causal().evaluate(q, k) == (k <= q));
    CHECK(Expr().evaluate(q, k));
  }
}
