// Texts of masks and scores that are refused, and how.
#include <cmath>
#include <limits>
#include <string>

#include "streamattn/expr.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;
using namespace streamattn::expr_names;

namespace {

struct Case {
  const char* text;
  const char* complaint;
  std::size_t column;
};

void check_refused(const Case& c, ExprRole role, const std::string& role_name) {
  INFO(c.text);
  CHECK(error_of([&] { Expr::parse(c.text, role); }) == "invalid_problem: " + role_name + ": " +
                                                            c.complaint + "\n  " + c.text + "\n  " +
                                                            std::string(c.column, ' ') + "^");
}

std::string refusal(const auto& make) {
  return error_of([&] { Expr made = make(); });
}

}  // namespace

TEST_CASE("a mask that is not understood is refused with a caret under the culprit") {
  const Case cases[] = {
      {"", "something is missing here", 0},
      {"   ", "something is missing here", 3},
      {"k <=", "something is missing here", 4},
      {"k <= <", "a name or a number is needed here", 5},
      {"k <= )", "a name or a number is needed here", 5},
      {"k $ q", "this is left over", 2},
      {"k = q", "this is left over", 2},
      {"k <= q k", "this is left over", 7},
      {"k & q", "this is left over", 2},
      {"k <= q)", "this is left over", 6},
      {"t[k][q]", "this is left over", 4},
      {"t[k](q)", "this is left over", 4},
      {"(k <= q", "a ')' is needed here", 7},
      {"(k < q]", "a ')' is needed here", 6},
      {"t[k < q", "a ']' is needed here", 7},
      {"t[]", "a name or a number is needed here", 2},
      {"min(k q)", "a ')' is needed here", 6},
      {"min()", "a name or a number is needed here", 4},
      {"min(k) < 3", "min takes 2 operands", 0},
      {"k < abs(k, q)", "abs takes 1 operand", 4},
      {"select(k < q, 1)", "select takes 3 operands", 0},
      {"sin(k) < 3", "this function is not known", 0},
      {"q (k)", "this function is not known", 0},
      {"1 < 2 < 3", "comparisons are joined by &&", 6},
      {"q == k == k", "comparisons are joined by &&", 7},
      {"k", "a variable alone is not a mask", 0},
      {" (batch)", "a variable alone is not a mask", 0},
      {"1.5", "a mask is a condition, this is real", 0},
      {"k / 2", "a mask is a condition, this is real", 0},
      {"k < score", "a mask does not depend on the score", 4},
      {"k < min", "\"min\" means something else, choose another name", 4},
      {"k < q_first", "\"q_first\" means something else, choose another name", 4},
      {"k < true", "< needs a number, \"true\" is a condition", 2},
      {"(k < q) + 1", "+ needs a number, \"k < q\" is a condition", 8},
      {"-(k < q)", "- needs a number, \"k < q\" is a condition", 0},
      {"min(k < q, 1)", "min needs a number, \"k < q\" is a condition", 0},
      {"select(k < q, true, 1.5)", "select needs a condition, \"1.5\" is real", 0},
      {"select(0.5, 1, 2)", "select needs a condition, \"0.5\" is real", 0},
      {"!0.5", "! needs a condition, \"0.5\" is real", 0},
      {"k < q && exp(k)", "&& needs a condition, \"exp(k)\" is real", 6},
      {"0.5 || k < q", "|| needs a condition, \"0.5\" is real", 4},
      {"k % 1.5 < 1", "% divides by a positive integer or an i32 scalar, \"1.5\" is neither", 2},
      {"k // 0 < 1", "// divides by a positive integer or an i32 scalar, \"0\" is neither", 2},
      {"k // -3 < 1", "// divides by a positive integer or an i32 scalar, \"-3\" is neither", 2},
      {"k % true < 1", "% divides by a positive integer or an i32 scalar, \"true\" is neither", 2},
      {"k % q < 1", "% divides by a positive integer or an i32 scalar, \"q\" is neither", 2},
      {"k % t[q] < 1", "% divides by a positive integer or an i32 scalar, \"t[q]\" is neither", 2},
      {"k % n:f32 < 1", "% divides by a positive integer or an i32 scalar, \"n\" is neither", 2},
      {"0.5 // 2 < 1", "// needs an integer, \"0.5\" is real", 4},
      {"bit(0.5, k)", "bit needs an integer, \"0.5\" is real", 0},
      {"bit(k, 0.5)", "bit needs an integer, \"0.5\" is real", 0},
      {"t[0.5]", "an index needs an integer, \"0.5\" is real", 0},
      {"t[k < q]", "an index needs an integer, \"k < q\" is a condition", 0},
      {"t[0, 1, 2, 3, 4]", "the tensor \"t\" has 5 indices, needs 1 to 4", 0},
      {"k < n:f16", "the scalar \"n\" is f16, needs i32 or f32", 4},
      {"k < n:i64", "unknown element type \"i64\", known: f16, bf16, f32, i32, u8", 6},
      {"k < n: ", "unknown element type \"\", known: f16, bf16, f32, i32, u8", 7},
      {"q:i32 < 3", "this is left over", 1},
  };
  for (const Case& c : cases) check_refused(c, ExprRole::mask, "mask");
}

TEST_CASE("numbers that are none are refused") {
  const Case cases[] = {
      {"k < 1e", "this is no number", 4},
      {"k < 1..2", "this is no number", 4},
      {"k < 1.2.3", "this is no number", 4},
      {"k < .", "this is no number", 4},
      {"k < 0x10", "this is no number", 4},
      {"k < 1_000", "this is no number", 4},
      {"k < 10f", "this is no number", 4},
      {"k < 1e-", "this is no number", 4},
      {"k < 1e--3", "this is no number", 4},
      {"k < 4k", "this is no number", 4},
      {"k < .e5", "this is no number", 4},
      {"k < 1e39", "this number does not fit", 4},
      {"k < 1e-60", "this number does not fit", 4},
      {"k < 99999999999999999999", "this number does not fit", 4},
      {"k < 2147483648", "the constant 2147483648 is not within +-2147483647", 4},
      {"k < -2147483648", "the constant 2147483648 is not within +-2147483647", 5},
      {"k < 2147483647 + 1", "the constant 2147483648 is not within +-2147483647", 15},
      {"k * 65536 * 65536 < 3", "the constant 4294967296 is not within +-2147483647", 10},
  };
  for (const Case& c : cases) check_refused(c, ExprRole::mask, "mask");
  for (const char* text : {"k < 007", "k < 7.", "k < .5", "k < 5e-1", "k < 1E3", "k < 1e+3",
                           "k < 1e-45", "k < 3.4028235e38", "k <= 2147483647", "k > -2147483647"}) {
    INFO(text);
    CHECK(Expr::parse(Expr::parse(text).text()).same_as(Expr::parse(text)));
  }
}

TEST_CASE("a score that is not understood is refused with a caret under the culprit") {
  const Case cases[] = {
      {"k < q", "a score is a number, this is a condition", 0},
      {"true", "a score is a number, this is a condition", 0},
      {"bias[score]", "an index does not depend on the score", 5},
      {"score + t[k + t[score]]", "an index does not depend on the score", 16},
      {"score % 2", "% needs an integer, \"score\" is real", 6},
      {"k // cap", "// divides by a positive integer or an i32 scalar, \"cap\" is neither", 2},
      {"exp(k < q)", "exp needs a number, \"k < q\" is a condition", 0},
      {"-true", "- needs a number, \"true\" is a condition", 0},
  };
  for (const Case& c : cases) check_refused(c, ExprRole::score, "score");
}

TEST_CASE("what would not show as one character is a space in a message") {
  using namespace std::string_literals;
  CHECK(error_of([] { Expr::parse("k\n\t$ q\r\x1b[1m"); }) ==
        "invalid_problem: mask: this is left over\n  k  $ q  [1m\n     ^");
  CHECK(error_of([] { Expr::parse("k < \xc3\xa4"); }) ==
        "invalid_problem: mask: a name or a number is needed here\n  k <   \n      ^");
  CHECK(error_of([] { Expr::parse("k <\0 q"s); }) ==
        "invalid_problem: mask: a name or a number is needed here\n  k <  q\n     ^");
  CHECK(error_of([] { Expr::parse("k < q\0"s); }) ==
        "invalid_problem: mask: this is left over\n  k < q \n       ^");
}

TEST_CASE("a message shows what stands around the culprit of a long text") {
  const std::string before(1000, ' '), behind(500, 'x');
  CHECK(error_of([&] { Expr::parse(before + "k $" + behind); }) ==
        "invalid_problem: mask: this is left over\n  ..." + std::string(98, ' ') + "k $" +
            std::string(59, 'x') + "...\n  " + std::string(103, ' ') + "^");
}

TEST_CASE("operators written in C++ refuse what those of a text do") {
  const TensorName t("t", DType::i32);
  CHECK(refusal([] { return (k < q) + 1; }) ==
        "invalid_problem: expression: + needs a number, \"k < q\" is a condition");
  CHECK(refusal([] { return k % q; }) ==
        "invalid_problem: expression: % divides by a positive integer or an i32 scalar, \"q\" is "
        "neither");
  CHECK(refusal([&] { return t(score); }) ==
        "invalid_problem: expression: an index needs an integer, \"score\" is real");
  CHECK(refusal([&] { return t(select(score < 1, 1, 2)); }) ==
        "invalid_problem: expression: an index depends on the score");
  CHECK(refusal([&] { return t(0, 0, 0, 0, 0); }) ==
        "invalid_problem: expression: the tensor \"t\" has 5 indices, needs 1 to 4");
  CHECK(refusal([] { return scalar("n", DType::u8); }) ==
        "invalid_problem: expression: the scalar \"n\" is u8, needs i32 or f32");
  const std::string sum = "invalid_problem: expression: + needs a number, \"";
  CHECK(refusal([&] {
          Expr all = true;
          for (int i = 0; i < 60; i++) all = all && t(i) < q;
          return all + 1;
        }).size() < sum.size() + 150);
}

TEST_CASE("constants beyond float32 or 32 bits are refused") {
  CHECK(refusal([] { return Expr(1e39); }) ==
        "invalid_problem: expression: the constant 1e+39 does not fit float32");
  CHECK_THAT(refusal([] { return Expr(std::nan("")); }), contains_text("does not fit float32"));
  CHECK_THAT(refusal([] { return Expr(-std::numeric_limits<float>::infinity()); }),
             contains_text("does not fit float32"));
  CHECK(refusal([] { return Expr(2147483648LL); }) ==
        "invalid_problem: expression: the constant 2147483648 is not within +-2147483647");
  CHECK_THAT(refusal([] { return Expr(std::numeric_limits<long long>::min()); }),
             contains_text("the constant -9223372036854775808 is not within"));
  CHECK_THAT(refusal([] { return Expr(std::numeric_limits<unsigned long long>::max()); }),
             contains_text("is not within"));
  CHECK_THAT(refusal([] { return q * 2147483647 * (k * 2147483647); }),
             contains_text("is not within"));
}

TEST_CASE("scalars and tensors have names that a text can have") {
  for (const char* name : {"", "1n", "a b", "a-b", "a\n", "\xc3\xa4", "a:i32", "^"}) {
    INFO(name);
    CHECK_THAT(refusal([&] { return scalar(name); }), contains_text("a name is letters, digits"));
    CHECK_THAT(refusal([&] { return TensorName(name, DType::f32)(k); }),
               contains_text("a name is letters, digits"));
  }
  for (const char* name : {"q", "k", "score", "kv_len", "q_first", "k_end", "true", "select"}) {
    INFO(name);
    CHECK(refusal([&] { return scalar(name); }) ==
          "invalid_problem: expression: \"" + std::string(name) +
              "\" means something else, choose another name");
  }
  CHECK(refusal([] { return scalar("a\x01"); }) ==
        "invalid_problem: expression: a name is letters, digits and _, and does not begin with a "
        "digit, \"a \" is none");
  const std::string longest(64, 'n');
  CHECK(scalar(longest).text() == longest);
  CHECK(refusal([&] { return scalar(longest + "n"); }) ==
        "invalid_problem: expression: a name has 65 characters, there may be 64");
  for (const char* name : {"_", "i32", "Q", "nan", "inf", "e5"}) {
    INFO(name);
    CHECK(Expr::parse(std::string("k < ") + name).same_as(k < scalar(name)));
  }
}
