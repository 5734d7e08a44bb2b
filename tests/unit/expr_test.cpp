// Mask expressions: spelling and evaluation.
#include "streamattn/expr.h"

#include <random>

#include "compiler/expr/evaluate.h"
#include "streamattn/masks.h"
#include "tests/support/catch.h"

using namespace streamattn;

TEST_CASE("spellings of one mask are equal and have one canonical text") {
  for (const char* text : {"k <= q", "k<=q", " k\t<=\nq ", "(k <= q)", "((k)<=(q))", "q >= k",
                           "(q)>=k", "((q >= k))"}) {
    INFO(text);
    CHECK(Expr::parse(text).same_as(causal()));
    CHECK(Expr::parse(text).text() == "k <= q");
  }
  for (const char* text : {"true", " true ", "(true)", "( ( true ) )"}) {
    INFO(text);
    CHECK(Expr::parse(text).same_as(Expr()));
    CHECK(Expr::parse(text).text() == "true");
  }
  CHECK_FALSE(Expr().same_as(causal()));
}

TEST_CASE("the canonical text of a mask parses to the same mask") {
  for (const Expr& mask : {Expr(), causal()}) CHECK(Expr::parse(mask.text()).same_as(mask));
}

TEST_CASE("a causal mask shows a query the keys at and before its position") {
  std::mt19937_64 random(20260101);
  std::uniform_int_distribution<std::int64_t> position(-1000, 1000000000000);
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t q = position(random);
    const std::int64_t k = i % 2 ? q + i - 500 : position(random);
    CHECK(holds_at(causal(), {.q = q, .k = k}) == (k <= q));
    CHECK(holds_at(Expr(), {.q = q, .k = k}));
  }
}
