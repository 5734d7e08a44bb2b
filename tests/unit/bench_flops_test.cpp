// Operation counts against brute force.
#include <random>

#include "compiler/expr/evaluate.h"
#include "tests/support/catch.h"
#include "tools/flops.h"

namespace streamattn {
namespace {

double counted_flops(const ForwardCase& call) {
  const Rows rows = call.q_rows.value_or(Rows{0, call.shape.q_len});
  const Rows keys = call.kv_rows.value_or(Rows{0, call.shape.kv_len});
  const std::int64_t q_offset =
      call.q_offset.value_or(call.k_offset + call.shape.kv_len - call.shape.q_len);
  double pairs = 0;
  for (std::int64_t i = rows.begin; i < rows.end; ++i) {
    for (std::int64_t j = keys.begin; j < keys.end; ++j) {
      pairs += holds_at(call.problem.mask, {.q = q_offset + i, .k = call.k_offset + j}) ? 1 : 0;
    }
  }
  return 2.0 * (call.problem.head_dim + call.problem.v_head_dim()) * call.shape.batch *
         call.heads() * pairs;
}

TEST_CASE("a full square counts 4 b h s s d operations and a causal one exactly half") {
  ForwardCase call{.problem = {.head_dim = 128}, .shape = {2, 16, 4096, 4096}};
  CHECK(forward_flops(call).number == 4.0 * 2 * 16 * 4096 * 4096 * 128);
  call.problem.mask = causal();
  CHECK(forward_flops(call).number == 2.0 * 2 * 16 * 4096 * 4096 * 128);
}

TEST_CASE("a value head dim of its own counts with the mean of both") {
  const ForwardCase call{.problem = {.head_dim = 192, .value_head_dim = 128, .group_size = 4},
                         .shape = {1, 2, 100, 300}};
  CHECK(forward_flops(call).number == 4.0 * 8 * 100 * 300 * 160);
}

TEST_CASE("any other causal call counts the pairs it really holds") {
  std::mt19937 random(7);
  const auto number = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  for (int trial = 0; trial < 500; ++trial) {
    ForwardCase call{.problem = {.head_dim = 8, .group_size = number(1, 3), .mask = causal()},
                     .shape = {number(0, 2), number(1, 3), number(0, 20), number(0, 20)}};
    call.k_offset = number(-5, 5);
    if (number(0, 1) == 1) call.q_offset = number(-25, 25);
    if (number(0, 1) == 1) {
      const int begin = number(0, static_cast<int>(call.shape.q_len));
      call.q_rows = Rows{begin, number(begin, static_cast<int>(call.shape.q_len))};
    }
    if (number(0, 1) == 1) {
      const int begin = number(0, static_cast<int>(call.shape.kv_len));
      call.kv_rows = Rows{begin, number(begin, static_cast<int>(call.shape.kv_len))};
    }
    INFO(call.shape.q_len << " x " << call.shape.kv_len);
    const bool is_square = [&] {
      const Rows rows = call.q_rows.value_or(Rows{0, call.shape.q_len});
      const Rows keys = call.kv_rows.value_or(Rows{0, call.shape.kv_len});
      const std::int64_t offset =
          call.q_offset.value_or(call.k_offset + call.shape.kv_len - call.shape.q_len);
      return rows.end - rows.begin == keys.end - keys.begin &&
             offset + rows.begin == call.k_offset + keys.begin;
    }();
    if (!is_square) CHECK(forward_flops(call).number == counted_flops(call));
    CHECK(visible_pairs(call).number * 32 == counted_flops(call));
  }
}

TEST_CASE("masks of batch, heads and named values count what each of them sees") {
  const ForwardCase padded{.problem = {.head_dim = 8, .group_size = 2, .mask = padding()},
                           .shape = {3, 2, 10, 50}};
  double pairs = 0;
  const NamedInputs named = named_inputs(padded);
  for (int b = 0; b < 3; b++)
    pairs += 4 * 10 * static_cast<const std::int32_t*>(named.tensors()[0].data)[b];
  CHECK(visible_pairs(padded).number == pairs);
  CHECK(forward_flops(padded).number == 32 * pairs);

  const ForwardCase by_head{.problem = {.group_size = 2, .mask = Expr::parse("k < head * n")},
                            .shape = {3, 2, 10, 50},
                            .scalars = {{"n", 7}}};
  CHECK(visible_pairs(by_head).number == 3 * 10 * 7 * (0 + 1 + 2 + 3));
  CHECK_FALSE(visible_pairs(by_head).is_estimate);
}

TEST_CASE("a mask with a closed form is counted exactly at any length") {
  const auto pairs = [](const char* mask, std::int64_t length) {
    return visible_pairs({.problem = {.mask = Expr::parse(mask)}, .shape = {1, 2, length, length}});
  };
  constexpr double n = 1 << 20;
  CHECK(pairs("k <= q && k > q - 4096", 1 << 20).number == 2 * (n * 4096 - 4096 * 4095.0 / 2));
  CHECK_FALSE(pairs("k <= q && k > q - 4096", 1 << 20).is_estimate);
  CHECK(pairs("k <= q", 1 << 20).number == n * (n + 1));
  CHECK(pairs("q // 1024 == k // 1024", 1 << 20).number == 2 * n * 1024);
  CHECK(pairs("true", 1 << 20).number == 2 * n * n);
}

TEST_CASE("pairs that a closed form leaves open are counted one by one beside the others") {
  for (const char* text : {"k < 5 || k <= q && (q - k) % 3 == 0", "k <= q && bit(k, 1)",
                           "k % 2 == q % 2 && k >= q - 9", "k != q", "1.5 * k <= q"}) {
    const ForwardCase call{.problem = {.head_dim = 8, .mask = Expr::parse(text)},
                           .shape = {2, 3, 70, 61},
                           .k_offset = 4};
    INFO(text);
    CHECK(forward_flops(call).number == counted_flops(call));
  }
}

TEST_CASE("of very many pairs a sample of rows is counted, and said to be one") {
  const ForwardCase call{.problem = {.mask = causal() && dilated(2)}, .shape = {2, 2, 1000, 1000}};
  const Count exact = visible_pairs(call), estimate = visible_pairs(call, 1e5);
  CHECK_FALSE(exact.is_estimate);
  CHECK(exact.number == 4 * 250500.0);
  CHECK(estimate.is_estimate);
  CHECK(estimate.number == Approx(exact.number).epsilon(0.01));
  CHECK(visible_pairs({.problem = {.mask = causal()}, .shape = {0, 2, 10, 10}}).number == 0);
}

}  // namespace
}  // namespace streamattn
