// The CPU target with every named mask, score and sink, against the float64 reference.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/forward_case.h"
#include "tests/support/scratch.h"
#include "tests/unit/cpu_run.h"

namespace streamattn {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// An expression and the scalars that it names.
struct Named {
  const char* name;
  Expr expr;
  std::vector<NamedNumber> scalars = {};
};

std::vector<Named> masks() {
  return {{"true", true},
          {"causal", causal()},
          {"sliding window", sliding_window(9, 2)},
          {"sliding window of a scalar", causal() && sliding_window(scalar("left")), {{"left", 6}}},
          {"sinks and window", causal() && (sinks(4) || sliding_window(11))},
          {"prefix", prefix(scalar("n")), {{"n", 17}}},
          {"chunked", chunked(16)},
          {"chunked by a scalar", chunked(scalar("n")), {{"n", 13}}},
          {"block local", causal() && block_local(16, 5)},
          {"dilated", causal() && dilated(scalar("n")), {{"n", 3}}},
          {"document", causal() && document()},
          {"padding", padding()},
          {"tree", tree()},
          {"bitmask", bitmask("words")},
          {"of one head", Expr::parse("k <= q && (head % 2 == 0 || flag:u8[kv_head, k])")},
          {"windows of heads", Expr::parse("k <= q && (k < head || k > q - 5 * (head + 1))")},
          {"ranges apart", Expr::parse("k < 3 || abs(q - k) <= 2 || k >= kv_len - 4")},
          {"reach of a query", Expr::parse("k <= reach[batch, q] && k > q - 30")},
          {"false", false}};
}

std::vector<Named> scores() {
  return {{"plain", Problem().score},
          {"softcap", softcap(scalar("cap", DType::f32)), {{"cap", 1.5}}},
          {"alibi", alibi()},
          {"relative bias", relative_bias(8)},
          {"additive bias", additive_bias("bias", DType::bf16)},
          {"temperature", temperature()},
          {"of everything", Expr::parse("select(k % 5 == 0, score * s[kv_head], score - 0.25) + "
                                        "log(1.0 + abs(score)) * (batch + 1) / kv_len",
                                        ExprRole::score)}};
}

/// A case with a mask, a score and a sink; the fields of `base` stay.
ForwardCase with(ForwardCase base, const Named& mask, const Named& score,
                 const std::optional<Expr>& sink) {
  base.problem.mask = mask.expr, base.problem.score = score.expr, base.problem.sink = sink;
  base.scalars = mask.scalars;
  base.scalars.insert(base.scalars.end(), score.scalars.begin(), score.scalars.end());
  return base;
}

Expr sink_of_head() { return TensorName("logit", DType::f32)(expr_names::head); }

void check_case(const ForwardCase& given) {
  INFO(given.describe());
  const ForwardTensors tensors(given);
  run(given.problem, tensors.args());
  check_result(given.problem, tensors.args(), tensors);
}

}  // namespace

TEST_CASE("the CPU agrees with float64 for every mask with every score, with and without a sink") {
  std::uint64_t seed = 1;
  for (const Named& mask : masks()) {
    for (const Named& score : scores()) {
      const ForwardCase base{.problem = {.dtype = static_cast<DType>(seed % 3),
                                         .head_dim = 24,
                                         .value_head_dim = 16,
                                         .group_size = seed % 2 == 0 ? 1 : 3},
                             .shape = {.batch = 2, .kv_heads = 2, .q_len = 45, .kv_len = 53},
                             .seed = seed++};
      check_case(with(base, mask, score, {}));
      check_case(with(base, mask, score, sink_of_head()));
    }
  }
}

TEST_CASE("masks and scores see global positions in sub-ranges and at offsets") {
  const auto [q_rows, kv_rows] =
      GENERATE(table<Rows, Rows>({{{0, 40}, {0, 60}}, {{7, 31}, {13, 50}}, {{3, 9}, {20, 20}}}));
  const std::int64_t k_offset = GENERATE(0, 11);
  const std::optional<std::int64_t> q_offset =
      GENERATE(std::optional<std::int64_t>{}, std::optional<std::int64_t>{0},
               std::optional<std::int64_t>{35});
  for (const Named& mask : masks()) {
    const ForwardCase given =
        with({.problem = {.dtype = DType::f32, .head_dim = 8, .group_size = 2},
              .shape = {.batch = 2, .kv_heads = 1, .q_len = 40, .kv_len = 60},
              .q_offset = q_offset,
              .k_offset = k_offset,
              .q_rows = q_rows,
              .kv_rows = kv_rows},
             mask, {"alibi", alibi()}, sink_of_head());
    check_case(given);
  }
}

TEST_CASE("one query of many heads, as in decode, sees what its mask says") {
  for (const Named& mask : masks()) {
    check_case(with({.problem = {.dtype = DType::bf16, .head_dim = 64, .group_size = 8},
                     .shape = {.batch = 2, .kv_heads = 1, .q_len = 1, .kv_len = 200}},
                    mask, {"plain", Problem().score}, {}));
  }
}

TEST_CASE("lengths of the whole tensors do not change with sub-ranges") {
  const Expr mask = Expr::parse("q_len == 20 && kv_len == 30 && k % 3 != 0");
  check_case({.problem = {.dtype = DType::f32, .head_dim = 8, .mask = mask},
              .shape = {.q_len = 20, .kv_len = 30},
              .q_rows = Rows{5, 15},
              .kv_rows = Rows{3, 21}});
  const ForwardCase given{.problem = {.dtype = DType::f32, .head_dim = 8, .mask = mask},
                          .shape = {.q_len = 20, .kv_len = 30}};
  ForwardTensors tensors(given);
  ForwardArgs args = tensors.args();
  args.q_rows = Rows{5, 6};
  run(given.problem, args);
  const OutputRow row{0, 0, 5};
  CHECK(std::isfinite(read_rows(args, std::span(&row, 1)).lse[0]));
}

TEST_CASE("NaN and infinity in keys that a mask hides never reach a row") {
  const Expr mask = Expr::parse("flag:u8[k]");
  for (const DType type : {DType::f16, DType::bf16, DType::f32}) {
    for (const Expr& score : {Problem().score, softcap(2)}) {
      const ForwardCase given{
          .problem = {.dtype = type, .head_dim = 13, .group_size = 2, .mask = mask, .score = score},
          .shape = {.kv_heads = 2, .q_len = 40, .kv_len = 60}};
      ForwardTensors tensors(given);
      const auto* flags = static_cast<const std::uint8_t*>(tensors.named.tensors()[0].data);
      for (std::int64_t k = 0; k < 60; k++) {
        if (flags[k] != 0) continue;
        tensors.k.poison({k, k + 1});
        tensors.v.poison({k, k + 1});
      }
      run(given.problem, tensors.args());
      for (const double value : read_rows(tensors.args(), all_rows(tensors.args())).o)
        REQUIRE(std::isfinite(value));
      check_result(given.problem, tensors.args(), tensors);
    }
  }
}

TEST_CASE("a row that sees no key is zero, and its LSE is the sink") {
  const ForwardCase given = with({.problem = {.dtype = DType::f16, .head_dim = 16},
                                  .shape = {.batch = 2, .kv_heads = 3, .q_len = 70, .kv_len = 20}},
                                 {"causal", causal()}, {"plain", Problem().score}, sink_of_head());
  const ForwardTensors tensors(given);
  run(given.problem, tensors.args());
  const auto* logits = static_cast<const float*>(tensors.named.tensors()[0].data);
  for (std::int64_t head = 0; head < 3; head++) {
    const OutputRow row{1, head, 10};
    const RowValues values = read_rows(tensors.args(), std::span(&row, 1));
    for (const double value : values.o) CHECK(value == 0);
    CHECK(values.lse[0] == logits[head]);
  }
  check_result(given.problem, tensors.args(), tensors);
}

TEST_CASE("a sink may be as large or as small as float32 holds") {
  const Expr sink = scalar("logit", DType::f32);
  for (const double logit : {-3e38, -1e4, -100.0, 0.0, 100.0, 1e4, 3e38}) {
    INFO(logit);
    check_case({.problem = {.dtype = DType::f32, .head_dim = 16, .mask = causal(), .sink = sink},
                .shape = {.q_len = 30, .kv_len = 20},
                .scalars = {{"logit", logit}}});
  }
  // None at all.
  ForwardCase given{.problem = {.dtype = DType::f32, .head_dim = 16, .sink = sink},
                    .shape = {.q_len = 30, .kv_len = 20},
                    .scalars = {{"logit", -std::numeric_limits<double>::infinity()}}};
  const ForwardTensors with_sink(given);
  run(given.problem, with_sink.args());
  check_result(given.problem, with_sink.args(), with_sink);
}

TEST_CASE("a score of minus infinity has the weight 0, and a row of these alone is NaN") {
  const ForwardCase given{.problem = {.dtype = DType::f32,
                                      .head_dim = 8,
                                      .score = Expr::parse("score + bias[q, k]", ExprRole::score)},
                          .shape = {.q_len = 6, .kv_len = 40},
                          .q_offset = 0,
                          .tensors = {{"bias", InputKind::constant}}};
  const ForwardTensors tensors(given);
  auto* bias = static_cast<float*>(const_cast<void*>(tensors.named.tensors()[0].data));
  for (int k = 0; k < 40; k++) {
    bias[2 * 40 + k] = -infinity;
    if (k != 31) bias[3 * 40 + k] = -infinity;
  }
  run(given.problem, tensors.args());
  const OutputRow rows[] = {{0, 0, 2}, {0, 0, 3}};
  const RowValues values = read_rows(tensors.args(), rows);
  CHECK(std::isnan(values.lse[0]));
  CHECK(std::isnan(values.o[0]));
  CHECK(std::isfinite(values.lse[1]));
  check_result(given.problem, tensors.args(), tensors);

  ForwardCase sunk = given;
  sunk.problem.sink = Expr(0.5);
  const ForwardTensors again(sunk);
  std::ranges::copy(std::span(bias, 6 * 40),
                    static_cast<float*>(const_cast<void*>(again.named.tensors()[0].data)));
  run(sunk.problem, again.args());
  CHECK(read_rows(again.args(), rows).lse[0] == 0.5);
  check_result(sunk.problem, again.args(), again);
}

TEST_CASE("results with expressions do not depend on threads or on tiles of queries") {
  const ForwardCase given =
      with({.problem = {.dtype = DType::bf16, .head_dim = 32, .group_size = 3},
            .shape = {.batch = 2, .kv_heads = 2, .q_len = 90, .kv_len = 110}},
           {"document", causal() && document()}, {"softcap", softcap(3)}, sink_of_head());
  ForwardTensors expected(given);
  run(given.problem, expected.args());
  for (const int max_sms : {1, 2}) {
    for (const int tile_q : {1, 7, 1000}) {
      ForwardTensors again(given);
      ForwardArgs args = again.args();
      args.max_sms = max_sms;
      run(given.problem, args, {tile_q, small_tiles.kv});
      CHECK(std::ranges::equal(again.o.bytes(), expected.o.bytes()));
      CHECK(std::ranges::equal(again.lse.bytes(), expected.lse.bytes()));
    }
  }
}

TEST_CASE("named tensors may have any strides") {
  ForwardCase given{.problem = {.dtype = DType::f32, .head_dim = 8, .score = additive_bias()},
                    .shape = {.batch = 2, .kv_heads = 2, .q_len = 10, .kv_len = 12},
                    .q_offset = 0};
  const ForwardTensors tensors(given);
  ForwardArgs args = tensors.args();
  std::vector<TensorArg> named(args.tensors.begin(), args.tensors.end());
  named[0].strides = {0, 0, -3, 5};  // one plane for all heads, that is read backwards
  named[0].data = static_cast<const float*>(named[0].data) + 3 * 11;
  args.tensors = named;
  run(given.problem, args);
  check_result(given.problem, args, tensors);
}

}  // namespace streamattn
