// The float64 reference and its yardsticks, against what can be worked out by hand.
#include "measure/reference.h"

#include <cmath>
#include <limits>
#include <numbers>
#include <set>
#include <tuple>

#include "support/half.h"
#include "tests/support/catch.h"
#include "tests/support/forward_case.h"

namespace streamattn {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Fills q with zeros, so that every visible key has the same weight.
void make_uniform(HostTensor& q) { std::fill(q.bytes().begin(), q.bytes().end(), std::byte{0}); }

double mean_of_v(const Tensor& v, DType type, std::int64_t batch, std::int64_t head, std::int64_t d,
                 Rows keys) {
  double sum = 0;
  for (std::int64_t k = keys.begin; k < keys.end; ++k) {
    sum += load_element(v.data, type,
                        batch * v.batch_stride + k * v.seq_stride + head * v.head_stride + d);
  }
  return sum / static_cast<double>(keys.end - keys.begin);
}

}  // namespace

TEST_CASE("the reference softmax of two known scores is exact") {
  float q[] = {1}, k[] = {0, std::numbers::ln2_v<float>}, v[] = {3, 6}, o[1], lse[1];
  const Problem problem{.dtype = DType::f32, .head_dim = 1};
  const ForwardArgs args{.q = Tensor::bshd(q, DType::f32, 1, 1, 1, 1),
                         .k = Tensor::bshd(k, DType::f32, 1, 2, 1, 1),
                         .v = Tensor::bshd(v, DType::f32, 1, 2, 1, 1),
                         .o = Tensor::bshd(o, DType::f32, 1, 1, 1, 1),
                         .lse = Tensor::bshd(lse, DType::f32, 1, 1, 1, 1),
                         .scale = 1.0F};
  const RowValues values = reference_forward(problem, args, all_rows(args));
  CHECK(values.o[0] == Approx(5).epsilon(1e-7));  // weights 1/3 and 2/3
  CHECK(values.lse[0] == Approx(std::log(3)).epsilon(1e-7));
}

TEST_CASE("the default scale of the reference is one over the root of head_dim") {
  const ForwardCase given{.problem = {.dtype = DType::f32, .head_dim = 16},
                          .shape = {.q_len = 3, .kv_len = 5}};
  const ForwardTensors tensors(given);
  ForwardArgs args = tensors.args();
  const RowValues by_default = reference_forward(given.problem, args, all_rows(args));
  args.scale = 0.25F;
  CHECK(reference_forward(given.problem, args, all_rows(args)).o == by_default.o);
  args.scale = 0.5F;
  CHECK(reference_forward(given.problem, args, all_rows(args)).o != by_default.o);
}

TEST_CASE("the reference gives every head the keys of its group and its mask") {
  const ForwardCase given{.problem = {.dtype = DType::bf16,
                                      .head_dim = 3,
                                      .value_head_dim = 2,
                                      .group_size = 3,
                                      .mask = causal()},
                          .shape = {.batch = 2, .kv_heads = 2, .q_len = 4, .kv_len = 6},
                          .layout = Layout::sparse};
  ForwardTensors tensors(given);
  make_uniform(tensors.q);
  const ForwardArgs args = tensors.args();
  const auto rows = all_rows(args);
  REQUIRE(rows.size() == 2 * 6 * 4);
  const RowValues values = reference_forward(given.problem, args, rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& [batch, head, row] = rows[i];
    const Rows keys{0, row + 3};  // the last query sees the last of the six keys
    for (int d = 0; d < 2; ++d) {
      CHECK(values.o[2 * i + d] ==
            Approx(mean_of_v(args.v, DType::bf16, batch, head / 3, d, keys)));
    }
    CHECK(values.lse[i] == Approx(std::log(row + 3)));
  }
}

TEST_CASE("the reference counts positions from the first row whatever part is asked for") {
  const ForwardCase given{.problem = {.dtype = DType::f32, .head_dim = 2, .mask = causal()},
                          .shape = {.q_len = 8, .kv_len = 10}};
  ForwardTensors tensors(given);
  make_uniform(tensors.q);
  ForwardArgs args = tensors.args();
  args.q_offset = 103;
  args.k_offset = 100;
  args.q_rows = Rows{2, 5};
  args.kv_rows = Rows{4, 9};
  const RowValues values = reference_forward(given.problem, args, all_rows(args));
  // Rows 2 to 4 are at 105 to 107, keys 4 to 8 at 104 to 108: they see 2, 3 and 4 of these.
  REQUIRE(values.lse.size() == 3);
  for (int row = 0; row < 3; ++row) CHECK(values.lse[row] == Approx(std::log(row + 2)));
  CHECK(values.o[2] == Approx(mean_of_v(args.v, DType::f32, 0, 0, 0, {4, 7})));
}

TEST_CASE("a row that sees no key is zero and its LSE is minus infinity") {
  const ForwardCase given{.problem = {.dtype = DType::f16, .head_dim = 4, .mask = causal()},
                          .shape = {.q_len = 5, .kv_len = 2}};
  const ForwardTensors tensors(given);
  const ForwardArgs args = tensors.args();
  for (const auto forward : {reference_forward, plain_forward}) {
    const RowValues values = forward(given.problem, args, all_rows(args));
    for (int row = 0; row < 3; ++row) {
      CHECK(values.lse[row] == -infinity);
      CHECK(values.o[4 * row] == 0);
    }
    CHECK(std::isfinite(values.lse[3]));
  }
}

TEST_CASE("the reference never reads what the mask hides") {
  const ForwardCase given{.problem = {.dtype = DType::f16, .head_dim = 4, .mask = causal()},
                          .shape = {.q_len = 6, .kv_len = 6}};
  ForwardTensors tensors(given);
  tensors.k.poison({4, 6});
  tensors.v.poison({4, 6});
  const ForwardArgs args = tensors.args();
  const RowValues values = reference_forward(given.problem, args, all_rows(args));
  for (int row = 0; row < 6; ++row) {
    CHECK(std::isnan(values.lse[row]) == (row >= 4));
    CHECK(std::isnan(values.o[4 * row]) == (row >= 4));
  }
}

TEST_CASE("a key that a row sees counts in the reference whatever its weight") {
  // The first key's weight is e^-1000, nothing even in float64.
  float q[] = {1}, k[] = {-1000, 0}, v[] = {std::nanf(""), 2}, o[1];
  const Problem problem{.dtype = DType::f32, .head_dim = 1};
  const ForwardArgs args{.q = Tensor::bshd(q, DType::f32, 1, 1, 1, 1),
                         .k = Tensor::bshd(k, DType::f32, 1, 2, 1, 1),
                         .v = Tensor::bshd(v, DType::f32, 1, 2, 1, 1),
                         .o = Tensor::bshd(o, DType::f32, 1, 1, 1, 1)};
  for (const auto forward : {reference_forward, plain_forward}) {
    const RowValues values = forward(problem, args, all_rows(args));
    CHECK(std::isnan(values.o[0]));
    CHECK(values.lse[0] == 0);
  }
}

TEST_CASE("plain attention rounds its result to the output type and errs as the type does") {
  for (const auto& [type, least, most] :
       {std::tuple(DType::bf16, 1e-3, 1e-2), std::tuple(DType::f16, 1e-4, 1e-3),
        std::tuple(DType::f32, 1e-8, 1e-5)}) {
    const ForwardCase given{.problem = {.dtype = type, .head_dim = 32},
                            .shape = {.q_len = 20, .kv_len = 90}};
    const ForwardTensors tensors(given);
    const ForwardArgs args = tensors.args();
    const RowValues plain = plain_forward(given.problem, args, all_rows(args));
    const RowValues exact = reference_forward(given.problem, args, all_rows(args));
    const double error = relative_error(plain.o, exact.o);
    CHECK(error > least);
    CHECK(error < most);
    for (const double value : plain.o) {
      CHECK(value == rounded(type, static_cast<float>(value)));
    }
  }
}

TEST_CASE("sampled rows are different rows of the range, the first and the last among them") {
  const ForwardCase given{.problem = {.dtype = DType::f32, .head_dim = 1, .group_size = 2},
                          .shape = {.batch = 3, .kv_heads = 2, .q_len = 50, .kv_len = 1}};
  const ForwardTensors tensors(given);
  ForwardArgs args = tensors.args();
  args.q_rows = Rows{10, 40};
  std::set<std::tuple<std::int64_t, std::int64_t, std::int64_t>> seen;
  const auto rows = sample_rows(args, 60, 1);
  for (const auto& [batch, head, row] : rows) {
    CHECK((batch >= 0 && batch < 3 && head >= 0 && head < 4 && row >= 10 && row < 40));
    seen.emplace(batch, head, row);
  }
  CHECK(rows.size() == 60);
  CHECK(seen.size() == 60);
  CHECK(seen.count({0, 0, 10}) == 1);
  CHECK(seen.count({0, 0, 39}) == 1);
  CHECK(sample_rows(args, 1 << 20, 1).size() == 3 * 4 * 30);
  args.q_rows = Rows{7, 7};
  CHECK(sample_rows(args, 60, 1).empty());
}

TEST_CASE("rows are read back through their strides") {
  const ForwardCase given{.problem = {.dtype = DType::f16, .head_dim = 3},
                          .shape = {.batch = 2, .kv_heads = 2, .q_len = 4, .kv_len = 1},
                          .layout = Layout::sparse};
  ForwardTensors tensors(given);
  tensors.o.fill(5);
  tensors.lse.fill(6);
  ForwardArgs args = tensors.args();
  const OutputRow row{1, 0, 3};
  const RowValues values = read_rows(args, std::span(&row, 1));
  for (int d = 0; d < 3; ++d) {
    const int index = ((1 * 4 + 3) * 2 + 0) * 3 + d;
    CHECK(values.o[d] == rounded(DType::f16, random_element(5, index, Distribution::normal)));
  }
  CHECK(values.lse[0] == random_element(6, (1 * 4 + 3) * 2, Distribution::normal));
  args.lse = {};
  CHECK(read_rows(args, std::span(&row, 1)).lse.empty());
}

TEST_CASE("errors are relative in the second norm and infinite for a NaN that should not be") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double expected[] = {3, 0, 4};
  CHECK(relative_error(std::array{3.0, 0.0, 4.0}, expected) == 0);
  CHECK(relative_error(std::array{3.0, 1.0, 4.0}, expected) == Approx(0.2));
  CHECK(relative_error(std::array{3.0, nan, 4.0}, expected) == infinity);
  CHECK(relative_error(std::array{3.0, -infinity, 4.0}, expected) == infinity);
  CHECK(relative_error(std::array{nan, 1.0}, std::array{nan, 1.0}) == 0);
  CHECK(relative_error(std::array{2.0, 1.0}, std::array{nan, 1.0}) == infinity);
  CHECK(relative_error(std::array{0.5}, std::array{0.0}) == 0.5);

  CHECK(max_error(std::array{1.0, 2.5}, std::array{1.5, 2.0}) == 0.5);
  CHECK(max_error(std::array{-infinity, 1.0}, std::array{-infinity, 1.0}) == 0);
  CHECK(max_error(std::array{0.0}, std::array{-infinity}) == infinity);
  CHECK(max_error(std::array{nan}, std::array{1.0}) == infinity);
}

}  // namespace streamattn
