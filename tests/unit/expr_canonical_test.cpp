// Canonical form: which spellings are one expression, and how it is written.
#include <string>
#include <vector>

#include "streamattn/masks.h"
#include "tests/support/catch.h"

using namespace streamattn;
using namespace streamattn::expr_names;

namespace {

Expr mask(const char* text) { return Expr::parse(text); }
Expr score_of(const char* text) { return Expr::parse(text, ExprRole::score); }

/// Spellings of one expression; the first is the canonical one.
using Spellings = std::vector<const char*>;

void check_meet(const std::vector<Spellings>& all, ExprRole role) {
  for (const Spellings& spellings : all) {
    const Expr first = Expr::parse(spellings[0], role);
    CHECK(first.text() == spellings[0]);
    for (const char* text : spellings) {
      INFO(text);
      CHECK(Expr::parse(text, role).text() == spellings[0]);
      CHECK(Expr::parse(text, role).same_as(first));
    }
  }
  for (const Spellings& a : all)
    for (const Spellings& b : all) {
      INFO(a[0] << " and " << b[0]);
      CHECK(Expr::parse(a[0], role).same_as(Expr::parse(b[0], role)) == (&a == &b));
    }
}

}  // namespace

TEST_CASE("spellings of one mask are one expression and have one text") {
  check_meet(
      {
          {"true",         " true ",        "( (true) )",      "1",
           "-7",           "!false",        "0 == 0",          "q == q",
           "k <= k",       "1.0 < 2.0",     "k < q || k >= q", "k <= 5 || k > 2",
           "abs(-3) == 3", "min(2, 3) < 3", "bit(5, 2)",       "bit(5, 34)",
           "k % 1 == 0",   "2 * k != 1",    "true || doc[k]",  "!(k != k)"},
          {"false", "!true", "0", "k < k", "1 == 2", "k < q && k >= q", "k > 5 && k <= 2",
           "2 * k == 3", "4 * k + 2 * q == 1", "false && doc[k]", "bit(5, 1)"},
          {"k <= q",
           "k<=q",
           " k\t<=\nq ",
           "(k <= q)",
           "((k)<=(q))",
           "q >= k",
           "!(k > q)",
           "!(q < k)",
           "k - q <= 0",
           "0 >= k - q",
           "-q <= -k",
           "2 * k <= 2 * q",
           "2 * k <= q + q + 1",
           "k < q + 1",
           "k <= q && k <= q + 3",
           "k <= q || k < q",
           "k <= q && true",
           "k <= q || false",
           "k <= q && k <= q",
           "!!(k <= q)",
           "select(true, k <= q, false)",
           "select(k <= q, true, false)",
           "k <= q && (k <= q || doc[k])",
           "k <= q || k <= q && doc[k]"},
          {"k > q", "q < k", "!(k <= q)", "k >= q + 1", "q - k <= -1"},
          {"k < 4", "k <= 3", "4 > k", "2 * k < 8", "2 * k < 7", "!(k >= 4)", "k - 4 < 0"},
          {"k >= 4", "k > 3", "!(k < 4)", "3 < k"},
          {"k >= q - window", "q - k <= window:i32", "window >= q - k", "k + window >= q",
           "window: i32 >= q-k", "k - q >= -window"},
          {"q == k", "k == q", "q - k == 0", "!(q != k)", "-q == -k", "3 * q == 3 * k"},
          {"q != k", "k != q", "!(q == k)"},
          {"flag != 0", "flag", "0 != flag", "!!flag", "flag:i32 || false", "-flag"},
          {"flag == 0", "!flag", "!(flag && true)"},
          {"q // 64 == k // 64", "floor != 0 && false || k // 64 == q // 64",
           "(q - q % 64) == (k - k % 64)", "q // 8 // 8 == k // 64"},
          {"k % 64 <= 7", "k % 64 < 8", "(k + 64) % 64 < 8", "(k - 128) % 64 < 8",
           "(k + q * 64) % 64 <= 7"},
          {"k > q + k // 8", "k - k // 8 > q", "(k + 0) // 8 + q < k"},
          {"k == 3", "k // 8 * 8 + k % 8 == 3", "k % 8 == 3 - 8 * (k // 8)"},
          {"k < q || k < 4 && q == 7", "(q == 7 && 4 > k) || k < q",
           "q == 7 && (k < 4 || k < q) || k < q"},
          {"abs(q - k) <= 8", "abs(k - q) < 9", "abs(-k + q) < 9", "abs(abs(q - k)) < 9"},
          {"min(q, k) <= 2", "min(k, q) < 3", "3 > min(q, k)"},
          {"max(k, q + 2) <= 2", "max(q + 2, max(k, k - 1)) < 3"},
          {"doc[batch, q] == doc[batch, k]", "doc:i32[batch, q] == doc[batch, k]",
           "doc [ batch , q ] - doc [ batch , k ] == 0"},
          {"q * k <= 8", "k * q < 9", "2 * k * q <= 16", "k * (q * 3) < 27", "-k * -q < 9"},
          {"bit(words[k // 32], k % 32)", "!!bit(words[k // 32], k % 32)"},
          {"!bit(words[k // 32], k % 32)", "!(bit(words:i32[k // 32], k % 32) && true)"},
          {"!(bias:f32[k] < 1.0)", "!(1 > bias:f32[k])"},
          {"2.0 <= bias:f32[k]", "bias:f32[k] >= 2", "bias:f32[k] * 1 >= 1 + 1.0"},
      },
      ExprRole::mask);
}

TEST_CASE("spellings of one score are one expression and have one text") {
  check_meet(
      {
          {"score", " score", "(score)", "score + 0", "0 + score", "score - 0", "score * 1",
           "1 * score", "score / 1", "select(true, score, 0)", "select(k < q, score, score)"},
          {"-score"},
          {"30.0 * tanh(score / 30.0)", "tanh(score / 30) * 30", "3e1 * tanh(score / .3e2)"},
          {"cap * tanh(score / cap)", "cap:f32 * tanh(score / cap:f32)"},
          {"score + slope[head] * (k - q)", "slope[head] * -(q - k) + score"},
          {"q - k", "-(k - q)", "1.0 * (q - k)", "q - k + 0.0"},
          {"2.0", "2", "1 + 1", "4 / 2", "sqrt(4)", "abs(-2.0)", "exp(0) + 1", "max(2, 1.5)",
           "3 * 2 - 4", "2e0", "2."},
          {"0.0", "0", "-0.0", "0 * -1.0", "log(1)", "tanh(0)"},
          {"score - bias[batch, head]", "score - bias:f32[batch, head]"},
          {"min(score, cap)", "min(cap, score)"},
          {"abs(q - k)", "abs(k - q) * 1.0", "abs((k - q) * 1.0)"},
          {"select(k <= q, score, -1e+10)", "select(q >= k, score, -10000000000.0)"},
          {"0.33333334", "1 / 3.0", "1 / 3"},
          {"k / 2.0", "k / 2"},
          {"k // 2", "k // 2 * 1.0"},
          {"log(0.0)", "log(0)"},
      },
      ExprRole::score);
}

TEST_CASE(
    "a name that does not say its type is i32 in masks and indices, f32 elsewhere in scores") {
  CHECK(mask("k < n").same_as(k < scalar("n")));
  CHECK(mask("k < n:f32").same_as(k < scalar("n", DType::f32)));
  CHECK(mask("t[k]").same_as(TensorName("t", DType::i32)(k) != 0));
  CHECK(score_of("n").same_as(scalar("n", DType::f32)));
  CHECK(score_of("n:i32 + score").same_as(scalar("n") + score));
  CHECK(score_of("select(k < n, 1.0, 2.0)").same_as(select(k < scalar("n", DType::f32), 1.0, 2.0)));
  const TensorName table("table", DType::f32), page("page", DType::i32);
  CHECK(score_of("table[head, page[k + n]]").same_as(table(head, page(k + scalar("n")))));
  CHECK(score_of("table[head, page[k + n]]").text() == "table[head, page[k + n]]");
  CHECK(score_of("select(t:i32[k] == 1, 1, 2)").text() == "select(t:i32[k] == 1, 1, 2)");
  CHECK(score_of("b:bfloat16[k]").text() == "b:bf16[k]");
  CHECK(score_of("b:u8[k]").same_as(TensorName("b", DType::u8)(k) * 1.0));
}

TEST_CASE("an operator written in C++ is the one of the text") {
  const Expr n = scalar("n"), cap = scalar("cap", DType::f32);
  const TensorName t("t", DType::i32), f("f", DType::f16);
  CHECK((k <= q).same_as(mask("k <= q")));
  CHECK((k < q).same_as(mask("k < q")));
  CHECK((k >= q).same_as(mask("k >= q")));
  CHECK((k > q).same_as(mask("k > q")));
  CHECK((k == q).same_as(mask("k == q")));
  CHECK((k != q).same_as(mask("k != q")));
  CHECK((k <= q && !(k < n || q == 3)).same_as(mask("k <= q && !(k < n || q == 3)")));
  CHECK((-k + 2 * q - n < 1).same_as(mask("-k + 2 * q - n < 1")));
  CHECK((floor_divide(k, 8) == q % n).same_as(mask("k // 8 == q % n")));
  CHECK((min(k, q) < max(n, 3) + abs(k)).same_as(mask("min(k, q) < max(n, 3) + abs(k)")));
  CHECK(bit(t(batch, k), head).same_as(mask("bit(t[batch, k], head)")));
  CHECK((select(k < 3, q, n) == kv_head).same_as(mask("select(k < 3, q, n) == kv_head")));
  CHECK((q_len - kv_len + k <= q).same_as(mask("q_len - kv_len + k <= q")));
  CHECK((cap * tanh(score / cap) - exp(-score))
            .same_as(score_of("cap * tanh(score / cap) - exp(-score)")));
  CHECK((log(abs(score)) + sqrt(f(k)) * 0.5)
            .same_as(score_of("log(abs(score)) + sqrt(f:f16[k]) * 0.5")));
  CHECK(Expr().same_as(true));
  CHECK(Expr(7U).same_as(7));
  CHECK(Expr(0.5F).same_as(0.5));
  CHECK(Expr(1).type() == ExprType::integer);
  CHECK(Expr(1.0).type() == ExprType::real);
  CHECK(Expr(true).type() == ExprType::boolean);
  CHECK(Expr(score).type() == ExprType::real);
}

TEST_CASE("the named masks and scores are these texts") {
  const Expr n = scalar("n");
  const std::pair<Expr, const char*> masks[] = {
      {causal(), "k <= q"},
      {sliding_window(4096), "k <= q && k >= q - 4096"},
      {sliding_window(scalar("left"), 3), "k <= q + 3 && k >= q - left"},
      {sinks(4), "k < 4"},
      {sinks(n), "k < n"},
      {prefix(n), "k < n || k <= q"},
      {chunked(64), "k // 64 == q // 64"},
      {chunked(n), "k // n == q // n"},
      {block_local(64, 8), "k < 8 || k // 64 == q // 64"},
      {dilated(2), "(q - k) % 2 == 0"},
      {document(), "document[batch, k] == document[batch, q]"},
      {padding(), "k < length[batch]"},
      {tree(), "bit(ancestors[batch, q, k // 32], k % 32)"},
      {bitmask(), "bit(bitmask[batch, q, k // 32], k % 32)"},
      {causal() && document("ids"), "k <= q && ids[batch, q] == ids[batch, k]"},
  };
  for (const auto& [named, text] : masks) {
    INFO(text);
    CHECK(named.same_as(mask(text)));
  }
  const std::pair<Expr, const char*> scores[] = {
      {softcap(30), "30 * tanh(score / 30)"},
      {softcap(scalar("cap", DType::f32)), "cap * tanh(score / cap)"},
      {alibi(), "score + slope[head] * (k - q)"},
      {relative_bias(128), "score + table[head, k - q + 128]"},
      {relative_bias(n), "score + table[head, k - q + n]"},
      {additive_bias(), "score + bias[batch, head, q, k]"},
      {additive_bias("b", DType::bf16), "score + b:bf16[batch, head, q, k]"},
      {temperature(), "score * temperature[q]"},
  };
  for (const auto& [named, text] : scores) {
    INFO(text);
    CHECK(named.same_as(score_of(text)));
  }
}
