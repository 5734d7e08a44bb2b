// How large an expression may be, and that none takes long.
#include <ctime>
#include <functional>
#include <string>

#include "compiler/expr/build.h"
#include "streamattn/masks.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;
using namespace streamattn::expr_names;

namespace {

constexpr const char* too_deep = "invalid_problem: expression: nested more than 100 levels deep";
constexpr const char* too_large = "invalid_problem: expression: more than 4096 operations";

std::string repeated(std::size_t times, const std::string& text) {
  std::string all;
  for (std::size_t i = 0; i < times; i++) all += text;
  return all;
}

std::string nested(std::size_t depth, const char* open, const char* inner, const char* close) {
  return repeated(depth, open) + inner + repeated(depth, close);
}

/// What becomes of `start` when `step` is applied until it throws, and how often it was.
struct Grown {
  Expr largest;
  int steps = 0;
  std::string refusal;
};

Grown grown(const Expr& start, const std::function<Expr(const Expr&, int)>& step) {
  Grown result{.largest = start};
  while (result.refusal.empty() && result.steps < 10000) {
    try {
      result.largest = step(result.largest, result.steps);
      result.steps++;
    } catch (const Error& error) {
      result.refusal = std::string(name(error.code())) + ": " + error.what();
    }
  }
  return result;
}

/// Seconds of processor time.
double seconds(const std::function<void()>& work) {
  const std::clock_t begin = std::clock();
  work();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

/// Far above what a slow machine needs with sanitizers, far below what an exponential would.
constexpr double soon = 20;

Expr condition(int i) { return k < scalar("n" + std::to_string(i)); }

}  // namespace

TEST_CASE("parentheses and operators are followed only so deep") {
  CHECK(Expr::parse(nested(150, "(", "k <= q", ")")).same_as(causal()));
  for (const char* open : {"(", "-", "!", "min(k, ", "t[", "!(", "-(", "select(k < q, 1, "}) {
    INFO(open);
    CHECK_THAT(error_of([&] { Expr::parse(repeated(1000, open) + "k"); }),
               contains_text("this is nested too deep"));
    CHECK_THAT(error_of([&] { Expr::parse(repeated(20000, open)); }),
               contains_text("this is nested too deep"));
  }
  CHECK(Expr::parse(nested(100, "!", "(k <= q)", "")).same_as(causal()));
}

TEST_CASE("every expression that can be made has a text that is read as the same") {
  const TensorName t("t", DType::i32);
  const Expr n = scalar(std::string(64, 'n'));
  const std::function<Expr(const Expr&, int)> steps[] = {
      [](const Expr& x, int) { return abs(min(x, q) - k); },
      [](const Expr& x, int) { return -abs(x - 1) * 3; },
      [](const Expr& x, int i) { return floor_divide(-(x % 64) - i % 2, 3); },
      [&](const Expr& x, int) { return t(x + 1) - 1; },
      [&](const Expr& x, int) { return -(x * n); },
      [](const Expr& x, int) { return select(x > 0, x, q); },
      [](const Expr& x, int) { return select(!(x * 1.0 < 3.0), q, 1 - x); },
  };
  for (const auto& step : steps) {
    Expr mask;
    const Grown result = grown(k, [&](const Expr& x, int i) {
      const Expr next = step(x, i);
      mask = next < 7 || k <= q;
      return next;
    });
    CHECK(((result.refusal == too_deep) || (result.refusal == too_large)));
    CHECK(result.steps >= 6);
    CHECK(Expr::parse(mask.text()).same_as(mask));
  }
  const std::function<Expr(const Expr&, int)> real_steps[] = {
      [](const Expr& x, int) { return -exp(x - 1); },
      [](const Expr& x, int) { return -(1 - (2 - x)); },
      [](const Expr& x, int) { return x + 1 / x; },
      [](const Expr& x, int) { return x * (q - k) - x / (q * 1.0); },
      [](const Expr& x, int) { return select(!(k * 1.0 < q && !(x < score)), k * 1.0, -x); },
      [](const Expr& x, int) { return min(k * 1.0, select(k < q, q * 1.0, (q - k) * 1.0) - x); },
  };
  for (const auto& step : real_steps) {
    const Grown result = grown(score, step);
    CHECK(((result.refusal == too_deep) || (result.refusal == too_large)));
    CHECK(result.steps >= 6);
    const std::string text = result.largest.text();
    CHECK(Expr::parse(text, ExprRole::score).same_as(result.largest));
  }
}

TEST_CASE("the largest sums and joins have a text that is read as the same") {
  const std::string long_name(60, 'n');
  const auto named = [&](int i) { return scalar(long_name + std::to_string(i)); };
  constexpr int at_once = 10;
  const Grown sum = grown(k, [&](const Expr& x, int step) {
    Expr part = 0;
    for (int i = 0; i < at_once; i++) part = part + named(step * at_once + i) * 2147483647;
    return x - part;
  });
  CHECK(sum.refusal == too_large);
  CHECK(sum.steps == 4094 / at_once);
  const Expr mask = sum.largest < 0;
  CHECK(Expr::parse(mask.text()).same_as(mask));
  const Grown terms = grown(false, [&](const Expr& x, int step) {
    Expr part = false;
    for (int i = 0; i < at_once; i++) part = part || named(step * at_once + i) == i;
    return x || part;
  });
  CHECK(terms.refusal == too_large);
  CHECK(terms.steps >= 4095 / 3 / at_once);
  CHECK(Expr::parse(terms.largest.text()).same_as(terms.largest));
}

TEST_CASE("the text of an expression has so many characters at most") {
  CHECK(Expr::parse(std::string(524288 - 6, ' ') + "k <= q").same_as(causal()));
  CHECK(error_of([] { Expr::parse(std::string(524289, '(')); }) ==
        "invalid_problem: mask: the text has 524289 characters, there may be 524288");
}

TEST_CASE("an expression of parts in common is refused before it is too large to write") {
  const std::function<Expr(const Expr&, int)> doublings[] = {
      [](const Expr& x, int) { return x * x; },
      [](const Expr& x, int) { return min(x, exp(x)); },
      [](const Expr& x, int) { return select(x < 1, x, exp(x)); },
  };
  for (const auto& doubling : doublings) {
    const Grown result = grown(score, doubling);
    CHECK(result.refusal == too_large);
    CHECK(result.steps < 14);
  }
  // The condition of a select of conditions is written twice.
  const Grown selects = grown(condition(0), [](const Expr& x, int i) {
    return select(x, condition(2 * i + 1), condition(2 * i + 2));
  });
  CHECK(selects.refusal == too_large);
  CHECK(Expr::parse(selects.largest.text()).same_as(selects.largest));
}

TEST_CASE("no expression takes long") {
  const std::function<void()> works[] = {
      // Deep alternation of && and ||, whose negations are asked for at every level.
      [] {
        grown(condition(0), [](const Expr& x, int i) {
          return i % 2 == 0 ? condition(i) && x : condition(i) || x;
        });
      },
      [] {
        Expr wide = false;
        for (int i = 0; i < 900; i++) wide = wide || condition(i);
        grown(wide, [](const Expr& x, int i) {
          return i % 2 == 0 ? condition(1000 + i) && x : condition(1000 + i) || x;
        });
      },
      // Each condition simplifies another.
      [] {
        Expr chain = true;
        for (int i = 400; i > 0; i--) chain = chain && (!condition(i) || condition(i + 1));
        CHECK((chain && condition(1)).node().operands.size() == 401);
      },
      [] {
        Expr all = true;
        for (int i = 0; i < 250; i++)
          all = all && (condition(i) || condition(i + 1) || condition(0));
        CHECK((all && condition(0)).same_as(condition(0)));
      },
      [] { grown(false, [](const Expr& x, int i) { return !(x && !condition(i)) && !x; }); },
      [] { grown(condition(0), [](const Expr& x, int i) { return !(x || condition(i)); }); },
      // Sums of remainders, each of which may merge.
      [] {
        grown(k, [](const Expr& x, int step) {
          Expr part = 0;
          for (int i = 10 * step; i < 10 * step + 10; i++) part = part + (q + i) % (i + 2);
          return x - part;
        });
      },
      [] { grown(k, [](const Expr& x, int) { return x - x % 3 + q % 5; }); },
      [] { grown(k, [](const Expr& x, int i) { return floor_divide(x + q * i, i + 2) + x; }); },
      [] { grown(k, [](const Expr& x, int i) { return (x + i) * (q - i); }); },
  };
  int number = 0;
  for (const auto& work : works) {
    INFO("number " << number++);
    CHECK(seconds(work) < soon);
  }
}

TEST_CASE("long texts do not take long") {
  const std::string texts[] = {
      "k < n" + repeated(1300, " && k < n"),
      "k < 0" + repeated(50000, "||k < 0"),
      repeated(100, "(k < q || (q < 3 && ") + "k < 1" + repeated(100, "))"),
      "k" + repeated(80000, "+k-q") + "< 3",
      "k" + repeated(60000, "*1-3") + "< 3",
      "k < 1" + repeated(80000, " && !k"),
      repeated(200000, "k,"),
  };
  for (const std::string& text : texts) {
    INFO(text.substr(0, 40));
    CHECK(seconds([&] {
            try {
              Expr::parse(text);
            } catch (const Error&) {
            }
          }) < soon);
  }
}
