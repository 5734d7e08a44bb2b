// The evaluator of expressions against formulas written by hand, over random rows.
#include "compiler/expr/evaluate.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>
#include <random>
#include <vector>

#include "compiler/expr/build.h"
#include "compiler/expr/real_functions.h"
#include "streamattn/error.h"
#include "streamattn/masks.h"
#include "support/half.h"
#include "tests/support/catch.h"
#include "tests/support/expr_value.h"
#include "tests/support/random_expr.h"

namespace streamattn {
namespace {

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(std::floor(static_cast<double>(a) / static_cast<double>(b)));
}
std::int64_t floor_mod(std::int64_t a, std::int64_t b) { return a - floor_div(a, b) * b; }

/// Named values for the cases below.
struct Values {
  std::vector<std::int32_t> ids = {};              // [2, 40]
  std::vector<std::int32_t> words = {};            // [2, 40, 2]
  std::vector<float> slopes = {};                  // [4]
  std::vector<std::uint16_t> f16 = {}, bf16 = {};  // [4, 9], elements two apart
  std::vector<std::uint8_t> flags = {};            // [7]
  int window = 5, step = 3;
  float cap = 2.5F;

  Values() {
    std::mt19937 random(5);
    const auto number = [&](int least, int most) {
      return std::uniform_int_distribution<int>(least, most)(random);
    };
    for (int i = 0; i < 80; i++) ids.push_back(number(0, 3));
    for (int i = 0; i < 160; i++) words.push_back(number(-2000000000, 2000000000));
    for (int i = 0; i < 4; i++) slopes.push_back(std::exp2(static_cast<float>(-i)));
    for (int i = 0; i < 72; i++) {
      f16.push_back(f16_from_float(static_cast<float>(number(-99, 99)) / 8));
      bf16.push_back(bf16_from_float(static_cast<float>(number(-99, 99)) / 8));
    }
    for (int i = 0; i < 7; i++) flags.push_back(static_cast<std::uint8_t>(number(0, 1)));
  }

  std::int64_t id(std::int64_t batch, std::int64_t at) const {
    return ids[batch * 40 + std::clamp<std::int64_t>(at, 0, 39)];
  }

  /// By name, in the order of `names`.
  NamedValues in_order_of(const ExprNames& names) const {
    NamedValues values = {};
    for (std::size_t i = 0; i < names.scalars.size(); i++) {
      const std::string& name = names.scalars[i].name;
      values.scalars[i] = name == "window" ? window
                          : name == "step" ? step
                                           : std::bit_cast<int>(cap);
    }
    for (std::size_t i = 0; i < names.tensors.size(); i++) {
      const std::string& name = names.tensors[i].name;
      NamedTensor& to = values.tensors[i];
      if (name == "id") to = {ids.data(), {40, 1}, {2, 40}};
      if (name == "word") to = {words.data(), {80, 2, 1}, {2, 40, 2}};
      if (name == "slope") to = {slopes.data(), {1}, {4}};
      if (name == "half") to = {f16.data(), {18, 2}, {4, 9}};
      if (name == "brain") to = {bf16.data(), {2, 8}, {4, 9}};
      if (name == "flag") to = {flags.data(), {1}, {7}};
      if (name == "nothing") to = {nullptr, {1}, {0}};
      if (name == "backwards") to = {ids.data() + 39, {-1}, {40}};
    }
    return values;
  }
};

struct Case {
  const char* text;
  std::function<double(const Values&, const ExprPoint&)> expected;
};

#define FORMULA [](const Values& v [[maybe_unused]], const ExprPoint& p [[maybe_unused]]) -> double

const Case conditions[] = {{"true", FORMULA{return 1;
}  // namespace
}  // namespace streamattn
, {"false", FORMULA{return 0;
}
}
, {"k <= q", FORMULA{return p.k <= p.q;
}
}
, {"k > q - window && k <= q", FORMULA{return p.k > p.q - v.window&& p.k <= p.q;
}
}
, {"q // 4 == k // 4", FORMULA{return floor_div(p.q, 4) == floor_div(p.k, 4);
}
}
, {"q // step == k // step || k < 3",
   FORMULA{return floor_div(p.q, v.step) == floor_div(p.k, v.step) || p.k < 3;
}
}
, {"(q - k) % step == 0", FORMULA{return floor_mod(p.q - p.k, v.step) == 0;
}
}
, {"(q - k) % 7 != 2", FORMULA{return floor_mod(p.q - p.k, 7) != 2;
}
}
, {"id[batch, q] == id[batch, k]", FORMULA{return v.id(p.batch, p.q) == v.id(p.batch, p.k);
}
}
, {"bit(word[batch, q, k // 32], k % 32)",
   FORMULA{const std::int64_t row = std::clamp<std::int64_t>(p.q, 0, 39);
const std::int64_t at = std::clamp<std::int64_t>(floor_div(p.k, 32), 0, 1);
const auto word = static_cast<std::uint32_t>(v.words[(p.batch * 40 + row) * 2 + at]);
return word >> floor_mod(p.k, 32) & 1;
}
}
, {"flag:u8[k % 7]", FORMULA{return v.flags[floor_mod(p.k, 7)];
}
}
, {"!(flag:u8[q] || k == head)",
   FORMULA{return !(v.flags[std::clamp<std::int64_t>(p.q, 0, 6)] || p.k == p.head);
}
}
, {"nothing[k] < 1 && backwards[k] != 2",
   FORMULA{return v.ids[39 - std::clamp<std::int64_t>(p.k, 0, 39)] != 2;
}
}
, {"abs(q - k) * 2 <= max(head * kv_head, 5)",
   FORMULA{return std::abs(p.q - p.k) * 2 <= std::max<std::int64_t>(p.head * p.kv_head, 5);
}
}
, {"select(k < 10, k, q_len - k) > min(q, kv_len // 2)",
   FORMULA{return (p.k < 10 ? p.k : p.q_len - p.k) > std::min(p.q, floor_div(p.kv_len, 2));
}
}
, {"slope:f32[head] * k < 4.5 && cap:f32 != 0.0",
   FORMULA{return v.slopes[p.head] * static_cast<float>(p.k) < 4.5;
}
}
, {"2.0 <= half:f16[head, k] || half:f16[head, k] == 1.0",
   FORMULA{const float x =
               float_from_f16(v.f16[p.head * 18 + std::clamp<std::int64_t>(p.k, 0, 8) * 2]);
return 2 <= x || x == 1;
}
}
,
}
;

const Case reals[] = {{"score", FORMULA{return p.score;
}
}
, {"score * 2 - 1", FORMULA{return p.score * 2 - 1;
}
}
, {"cap * tanh(score / cap)", FORMULA{return v.cap * std::tanh(p.score / v.cap);
}
}
, {"score + slope[head] * (k - q)",
   FORMULA{return p.score + v.slopes[p.head] * static_cast<double>(p.k - p.q);
}
}
, {"score + half:f16[head, k - q + 4] - brain:bf16[kv_head, q % 9]",
   FORMULA{const auto near = std::clamp<std::int64_t>(p.k - p.q + 4, 0, 8);
return p.score + float_from_f16(v.f16[p.head * 18 + near * 2]) -
       float_from_bf16(v.bf16[p.kv_head * 2 + floor_mod(p.q, 9) * 8]);
}
}
, {"select(k == q, -score, exp(min(score, 2.0)))",
   FORMULA{return p.k == p.q ? -p.score : std::exp(std::min(p.score, 2.0));
}
}
, {"log(abs(score) + 1.0) + sqrt(max(score, 0.0))",
   FORMULA{return std::log(std::abs(p.score) + 1) + std::sqrt(std::max(p.score, 0.0));
}
}
, {"select(score < 0.5 && k > 2, 1.0 / (k + 100), id:i32[batch, k])",
   FORMULA{return p.score < 0.5 && p.k > 2 ? 1 / static_cast<double>(p.k + 100)
                                           : static_cast<double>(v.id(p.batch, p.k));
}
}
, {"7.5", FORMULA{return 7.5;
}
}
,
}
;

#undef FORMULA

/// Random rows with runs of keys that begin before position 0 and are longer than one pass.
template <class Check>
void for_random_rows(const Check& check) {
  std::mt19937_64 random(11);
  const auto number = [&](int least, int most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random);
  };
  for (int trial = 0; trial < 12; trial++) {
    const ExprPoint row{.q = number(-5, 45),
                        .batch = number(0, 1),
                        .head = number(0, 3),
                        .kv_head = number(0, 1),
                        .q_len = number(1, 40),
                        .kv_len = number(1, 40)};
    std::vector<double> scores(trial % 3 == 0 ? number(1, 3) : number(100, 400));
    for (double& score : scores) score = static_cast<double>(number(-400, 400)) / 64;
    check(row, number(-9, 5), scores);
  }
}

template <class Real>
void check_reals(double tolerance) {
  const Values values;
  for (const Case& c : reals) {
    INFO(c.text);
    const Expr expr = Expr::parse(c.text, ExprRole::score);
    const ExprNames names({expr});
    const FlatExpr flat(expr, names);
    RowEvaluator<Real> evaluator(flat, values.in_order_of(names));
    for_random_rows([&](ExprPoint point, std::int64_t first, const std::vector<double>& scores) {
      std::vector<Real> found(scores.begin(), scores.end());
      evaluator.start(point);
      evaluator.evaluate(first, std::ssize(found), found.data(), found.data());
      for (std::size_t i = 0; i < scores.size(); i++) {
        point.k = first + static_cast<std::int64_t>(i), point.score = scores[i];
        const double expected = c.expected(values, point);
        REQUIRE(std::abs(found[i] - expected) <= tolerance * std::max(1.0, std::abs(expected)));
      }
    });
  }
}

/// Compares a row of keys with the slow evaluator. False where an integer leaves 64 bits.
bool is_as_nodes_say(const Expr& expr, const ExprNames& names, const ExprPlace& place) {
  NamedValues values = {};
  for (std::size_t i = 0; i < names.scalars.size(); i++) {
    const auto& [name, dtype, rank] = names.scalars[i];
    const double value = place.named(name, dtype, {});
    values.scalars[i] = dtype == DType::f32 ? std::bit_cast<int>(static_cast<float>(value))
                                            : static_cast<int>(value);
  }
  const FlatExpr flat(expr, names);
  RowEvaluator<double> evaluator(flat, values);
  evaluator.start({.q = place.variable(Variable::q),
                   .batch = place.variable(Variable::batch),
                   .head = place.variable(Variable::head),
                   .kv_head = place.variable(Variable::kv_head),
                   .q_len = place.variable(Variable::q_len),
                   .kv_len = place.variable(Variable::kv_len)});
  constexpr int keys = 150;
  const std::int64_t first = place.variable(Variable::k);
  std::vector<double> scores(keys, place.score);
  std::vector<std::uint8_t> seen(keys);
  if (expr.type() == ExprType::real)
    evaluator.evaluate(first, keys, scores.data(), scores.data());
  else
    evaluator.evaluate(first, keys, seen.data());
  try {
    for (int i = 0; i < keys; i++) {
      ExprPlace at = place;
      at.variables[static_cast<int>(Variable::k)] = first + i;
      const ExprValue<double> wanted = value_of<double>(expr, at);
      if (expr.type() == ExprType::boolean) REQUIRE(seen[i] == wanted.integer);
      const bool both_nan = std::isnan(scores[i]) && std::isnan(wanted.real);
      if (expr.type() == ExprType::real) REQUIRE((scores[i] == wanted.real || both_nan));
    }
  } catch (const IntegerOverflow&) {
    return false;
  }
  return true;
}

}  // namespace

TEST_CASE("conditions over runs of keys are those of every key by itself") {
  const Values values;
  for (const Case& c : conditions) {
    INFO(c.text);
    const Expr expr = Expr::parse(c.text);
    const ExprNames names({expr});
    const NamedValues named = values.in_order_of(names);
    const FlatExpr flat(expr, names);
    RowEvaluator<float> evaluator(flat, named);
    for_random_rows([&](ExprPoint point, std::int64_t first, const std::vector<double>& scores) {
      std::vector<std::uint8_t> found(scores.size(), 9);
      evaluator.start(point);
      evaluator.evaluate(first, std::ssize(found), found.data());
      for (std::size_t i = 0; i < found.size(); i++) {
        point.k = first + static_cast<std::int64_t>(i);
        REQUIRE(static_cast<int>(found[i]) == (c.expected(values, point) != 0 ? 1 : 0));
        if (i < 5) REQUIRE(holds_at(expr, point, names, named) == (found[i] != 0));
      }
    });
  }
}

TEST_CASE("scores over runs of keys are those of every key by itself") {
  check_reals<double>(1e-14);
  check_reals<float>(4e-7);
}

TEST_CASE("random expressions along a row are what their nodes say key by key") {
  std::mt19937_64 random(23);
  RandomExprs exprs(29);
  int compared = 0;
  for (int trial = 0; trial < 4000; trial++) {
    const bool is_mask = trial % 2 == 0;
    const SyntaxTree tree = is_mask ? exprs.mask() : exprs.score();
    std::optional<Expr> expr;
    try {
      expr = tree.expr();
    } catch (const Error&) {
      continue;  // constants beyond 32 bits
    }
    const ExprNames names({*expr});
    if (!names.tensors.empty()) continue;  // their elements there follow from indices of any size
    bool divides = false;                  // by zeros, the signs of which are not defined
    for_each_node(*expr, [&](const Expr& part) { divides |= part.node().op == ExprOp::divide; });
    if (divides) continue;
    CAPTURE(expr->text());
    compared += is_as_nodes_say(*expr, names, ExprPlace::random(random)) ? 1 : 0;
  }
  CHECK(compared > 1000);
}

TEST_CASE("an expression may depend on the first and the last of some queries and keys") {
  ExprPoint point{.q_first = 10, .q_end = 19, .k_first = -3, .k_end = 4};
  CHECK(integer_at(variable(Variable::q_first) * 1000 + variable(Variable::q_end), point) == 10019);
  CHECK(integer_at(variable(Variable::k_first) * 1000 + variable(Variable::k_end), point) == -2996);
  CHECK(holds_at(variable(Variable::k_end) <= variable(Variable::q_first), point));
  point.score = 0.1;
  CHECK(real_at(Expr::parse("score * 3", ExprRole::score), point) == 0.1 * 3);
}

TEST_CASE("integers beyond 32 bits are exact, beyond 64 they wrap") {
  const ExprPoint far{.q = std::int64_t{1} << 61, .k = (std::int64_t{1} << 61) + 1};
  CHECK(holds_at(Expr::parse("k == q + 1"), far));
  CHECK_FALSE(holds_at(causal(), far));
  integer_at(Expr::parse("q * 2000000000 == k").node().operands[0], far);  // no undefined overflow
}

TEST_CASE("a long expression needs few places") {
  std::string text = "k % 2 == 0";
  for (int i = 3; i < 60; i++) text += " || k % " + std::to_string(i) + " == 1";
  const Expr expr = Expr::parse(text);
  const FlatExpr flat(expr, ExprNames({expr}));
  CHECK(flat.places(ExprType::integer) <
        70);  // of these 58 divisors, which are the same everywhere
  CHECK(holds_at(expr, {.k = 61}));
}

TEST_CASE("exp and tanh of float32 are right to two units in the last place") {
  const auto units = [](float found, double exact) {
    const auto nearest = static_cast<float>(exact);
    if (found == nearest) return 0.0;
    const float step = std::nextafter(std::abs(nearest), INFINITY) - std::abs(nearest);
    return std::abs(found - exact) / step;
  };
  for (float x = -104; x < 89; x += 0.0037F) {
    INFO(x);
    REQUIRE(units(real_functions::exp(x), std::exp(static_cast<double>(x))) <= 2);
  }
  for (float x = -12; x < 12; x += 0.00037F) {
    INFO(x);
    REQUIRE(units(real_functions::tanh(x), std::tanh(static_cast<double>(x))) <= 2);
  }
  constexpr float infinity = std::numeric_limits<float>::infinity();
  CHECK(real_functions::exp(infinity) == infinity);
  CHECK(real_functions::exp(-infinity) == 0);
  CHECK(real_functions::exp(0.0F) == 1);
  CHECK(real_functions::tanh(infinity) == 1);
  CHECK(real_functions::tanh(-infinity) == -1);
  CHECK(real_functions::tanh(1e-30F) == 1e-30F);
  CHECK(std::isnan(real_functions::exp(NAN)));
  CHECK(std::isnan(real_functions::tanh(NAN)));
}

}  // namespace streamattn
