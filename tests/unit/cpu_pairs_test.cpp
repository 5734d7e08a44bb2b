// Products of bf16 matrices against sums in float64, and what the CPU target makes of them.
#include "runtime/cpu/pairs.h"

#include <hwy/aligned_allocator.h>

#include <cmath>
#include <limits>
#include <random>

#include "compiler/operations/forward/check.h"
#include "runtime/cpu/forward.h"
#include "support/half.h"
#include "tests/support/catch.h"
#include "tests/support/forward_case.h"

namespace streamattn {
namespace {

constexpr CpuTileSides default_tiles{.q = 96, .kv = 256};

/// A product of random matrices and its operands.
struct RandomProduct {
  static constexpr std::size_t a_gap = 6;  // between rows

  RandomProduct(std::size_t row_count, std::size_t sum_count)
      : rows(row_count),
        sums(sum_count),
        a(rows * (sums + a_gap)),
        b(hwy::AllocateAligned<std::uint16_t>(sums * pair_tile)),
        factor(hwy::AllocateAligned<float>(pair_tile)),
        c(hwy::AllocateAligned<float>(rows * pair_tile)) {
    std::mt19937 random(static_cast<unsigned>(rows + sums));
    std::normal_distribution<float> normal;
    for (std::uint16_t& value : a) value = bf16_from_float(normal(random));
    for (std::size_t i = 0; i < sums * pair_tile; ++i) b[i] = bf16_from_float(normal(random));
    for (std::size_t i = 0; i < pair_tile; ++i) factor[i] = normal(random);
    for (std::size_t i = 0; i < rows * pair_tile; ++i) c[i] = normal(random);
  }

  PairProduct product(bool has_factor) const {
    return {.a = a.data(),
            .a_step = sums + a_gap,
            .b = reinterpret_cast<const float*>(b.get()),
            .rows = rows,
            .sums = sums,
            .factor = has_factor ? factor.get() : nullptr,
            .c = c.get()};
  }

  /// What c is to be at (row, lane).
  double expected(std::size_t row, std::size_t lane, bool has_factor) const {
    double sum = has_factor ? static_cast<double>(c[row * pair_tile + lane]) * factor[lane] : 0;
    for (std::size_t s = 0; s < sums; ++s) {
      sum += static_cast<double>(float_from_bf16(a[row * (sums + a_gap) + s])) *
             float_from_bf16(b[(s / 2 * pair_tile + lane) * 2 + s % 2]);
    }
    return sum;
  }

  std::size_t rows, sums;
  std::vector<std::uint16_t> a;
  hwy::AlignedFreeUniquePtr<std::uint16_t[]> b;
  hwy::AlignedFreeUniquePtr<float[]> factor, c;
};

/// Runs one case with the tiles that launches have by default and checks all of its output.
void check_bf16(int head_dim, int v_head_dim, std::int64_t keys, const Expr& mask) {
  const ForwardCase given{.problem = {.dtype = DType::bf16,
                                      .head_dim = head_dim,
                                      .value_head_dim = v_head_dim,
                                      .group_size = 2,
                                      .mask = mask},
                          .shape = {.kv_heads = 2, .q_len = 101, .kv_len = keys}};
  INFO(given.describe());
  const ForwardTensors tensors(given);
  cpu_forward(given.problem, FlatProblem(given.problem), default_tiles,
              resolve(given.problem, tensors.args()));
  check_result(given.problem, tensors.args(), tensors);
}

}  // namespace

TEST_CASE("products of bf16 pairs agree with float64") {
  const MultiplyPairs multiply = multiply_pairs();
  if (multiply == nullptr) {
    WARN("this CPU multiplies bf16 no faster than floats");
    return;
  }
  const std::size_t rows = GENERATE(32, 64, 160);
  const std::size_t sums = GENERATE(32, 96, 256);
  const bool has_factor = GENERATE(false, true);
  const RandomProduct random(rows, sums);
  std::vector<double> expected;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t lane = 0; lane < pair_tile; ++lane) {
      expected.push_back(random.expected(row, lane, has_factor));
    }
  }
  if (!has_factor) random.c[5] = std::numeric_limits<float>::quiet_NaN();  // does not count
  multiply(random.product(has_factor));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    REQUIRE(std::abs(random.c[i] - expected[i]) < 1e-6 * static_cast<double>(sums));
  }
}

TEST_CASE("bf16 on the CPU is exact for odd head dims and numbers of keys") {
  const auto [head_dim, v_head_dim] =
      GENERATE(table<int, int>({{1, 33}, {31, 1}, {33, 64}, {64, 65}, {100, 31}, {128, 128}}));
  const std::int64_t keys = GENERATE(1, 31, 33, 255, 257, 301);
  check_bf16(head_dim, v_head_dim, keys, Expr());
  check_bf16(head_dim, v_head_dim, keys, causal());
}

TEST_CASE("NaN in bf16 values spoils the rows that see it and no other, in any part of a tile") {
  const std::int64_t poisoned = GENERATE(0, 1, 30, 31, 32, 255, 256, 299);
  const ForwardCase given{.problem = {.dtype = DType::bf16, .head_dim = 20, .mask = causal()},
                          .shape = {.kv_heads = 1, .q_len = 300, .kv_len = 300}};
  ForwardTensors tensors(given);
  tensors.v.poison({poisoned, poisoned + 1});
  ForwardArgs args = tensors.args();
  cpu_forward(given.problem, FlatProblem(given.problem), default_tiles,
              resolve(given.problem, args));
  check_result(given.problem, args, tensors);
  if (poisoned == 0) return;
  args.q_rows = Rows{0, poisoned};
  for (const double value : read_rows(args, all_rows(args)).o) {
    REQUIRE(std::isfinite(value));
  }
}

TEST_CASE("NaN in bf16 values changes nothing in rows that do not see it, at any size of tiles") {
  const ForwardCase given{.problem = {.dtype = DType::bf16, .head_dim = 24, .mask = causal()},
                          .shape = {.kv_heads = 1, .q_len = 300, .kv_len = 300}};
  ForwardTensors clean(given);
  ForwardArgs args = clean.args();
  args.q_rows = Rows{0, 200};
  cpu_forward(given.problem, FlatProblem(given.problem), default_tiles,
              resolve(given.problem, args));
  for (const int tile_q : {1, 40, 96, 1000}) {
    ForwardTensors poisoned(given);
    poisoned.v.poison({200, 207});
    // All rows are computed, so that tiles hold rows that see the poison and others that do not.
    cpu_forward(given.problem, FlatProblem(given.problem), {tile_q, default_tiles.kv},
                resolve(given.problem, poisoned.args()));
    const std::vector<OutputRow> rows = all_rows(args);
    CHECK(read_rows(poisoned.args(), rows).o == read_rows(args, rows).o);
  }
}

}  // namespace streamattn
