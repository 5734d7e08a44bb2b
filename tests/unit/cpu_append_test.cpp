// Appending on the CPU target, in every layout.
#include <algorithm>
#include <cmath>
#include <vector>

#include "compiler/operations/append/check.h"
#include "measure/append_accuracy.h"
#include "runtime/cpu/append.h"
#include "tests/support/catch.h"
#include "tests/support/random_append.h"

namespace streamattn {
namespace {

void run(const Problem& problem, const AppendArgs& args) {
  check_append(problem, args);
  cpu_append(/*tile_q=*/7, resolve(problem, args));
}

void check_case(const AppendCase& given) {
  INFO(given.describe());
  const AppendTensors tensors(given);
  run(given.forward.problem, tensors.args());
  const AppendAccuracy found = check_append_result(given.forward.problem, tensors);
  CHECK(found.wrong_copies == 0);
  CHECK(found.error <= 1);
  CHECK(found.untouched);
}

Tensor row_tensor(float* data, std::int64_t batch, std::int64_t seq, std::int64_t dim = 2) {
  return Tensor::bshd(data, DType::f32, batch, seq, 1, dim);
}

/// Two columns, one head: small enough to write down.
const Problem tiny{.dtype = DType::f32, .head_dim = 2};

}  // namespace

TEST_CASE("appends on the CPU are right for thousands of random batches of sequences") {
  for (std::uint64_t seed = 0; seed < 2000; seed++) check_case(random_append({}, 2, seed, seed));
}

TEST_CASE("dense appends without lengths write the last rows of the cache") {
  for (const RopeStyle style : {RopeStyle::none, RopeStyle::interleaved, RopeStyle::split_half})
    for (const DType type : {DType::f16, DType::bf16, DType::f32})
      check_case({.forward = {.problem = {.dtype = type, .head_dim = 64, .group_size = 3},
                              .shape = {.batch = 2, .kv_heads = 2, .q_len = 30, .kv_len = 130}},
                  .rope = {.style = style}});
}

TEST_CASE("new tokens go behind those that the cache holds, page by page") {
  Problem problem = tiny;
  problem.kv_layout = SequenceLayout::paged;
  problem.q_layout = SequenceLayout::packed;
  std::vector<float> new_k = {1, 2, 3, 4, 5, 6, 7, 8}, new_v = {-1, -2, -3, -4, -5, -6, -7, -8};
  std::vector<float> k(4 * 2 * 2, 99), v(k);  // four pages of two rows
  const std::int32_t begins[] = {0, 3, 4};    // three tokens and one
  const std::int32_t lens[] = {5, 1};         // in the cache with them
  const std::int32_t table[] = {2, 0, 3, 1, 77, 77};
  run(problem,
      {.new_k = row_tensor(new_k.data(), 1, 4),
       .new_v = row_tensor(new_v.data(), 1, 4),
       .k = row_tensor(k.data(), 4, 2),
       .v = row_tensor(v.data(), 4, 2),
       .sequences = {
           .batch = 2, .cu_seqlens_q = begins, .kv_lens = lens, .block_table = table, .pages = 3}});
  // Rows 2, 3 and 4 of sequence 0 are in pages 0, 0 and 3; row 0 of sequence 1 in page 1.
  CHECK(k == std::vector<float>{1, 2, 3, 4, 7, 8, 99, 99, 99, 99, 99, 99, 5, 6, 99, 99});
  CHECK(v == std::vector<float>{-1, -2, -3, -4, -7, -8, 99, 99, 99, 99, 99, 99, -5, -6, 99, 99});
}

TEST_CASE("tokens without a place are not written") {
  std::vector<float> new_k = {1, 2, 3, 4, 5, 6}, cache(4 * 2, 99);
  std::vector<float> v = cache;
  AppendArgs args{.new_k = row_tensor(new_k.data(), 1, 3),
                  .new_v = row_tensor(new_k.data(), 1, 3),
                  .k = row_tensor(cache.data(), 1, 4),
                  .v = row_tensor(v.data(), 1, 4)};
  Problem problem = tiny;
  problem.kv_lens = true;
  const auto appended = [&](std::int32_t length) {
    std::ranges::fill(cache, 99);
    args.sequences.kv_lens = &length;
    run(problem, args);
    return cache;
  };
  CHECK(appended(2) == std::vector<float>{3, 4, 5, 6, 99, 99, 99, 99});  // in front of row 0
  CHECK(appended(5) == std::vector<float>{99, 99, 99, 99, 1, 2, 3, 4});  // behind the tensor
  CHECK(appended(100) == std::vector<float>(8, 99));                     // far behind it
  CHECK(appended(-7) == std::vector<float>(8, 99));
  args.sequences.max_kv_len = 3;
  CHECK(appended(4) == std::vector<float>{99, 99, 1, 2, 3, 4, 99, 99});  // behind the bound

  // A page that was given back, and a table that is too short.
  problem.kv_layout = SequenceLayout::paged;
  args.k = row_tensor(cache.data(), 2, 2), args.v = row_tensor(v.data(), 2, 2);
  const std::int32_t table[] = {-1, 1};
  args.sequences = {.block_table = table, .pages = 2};
  CHECK(appended(3) == std::vector<float>{99, 99, 99, 99, 5, 6, 99, 99});
  CHECK(appended(5) == std::vector<float>{99, 99, 99, 99, 1, 2, 3, 4});
}

TEST_CASE("pairs are turned by position, offset and factor") {
  const float quarter = std::acos(-1.0F) / 2;
  // Columns 0 and 1 turn by one radian a position, columns 2 and 3 by 1 / 10 of it.
  std::vector<float> new_k = {1, 2, 3, 4, 55}, k(5), v(5);
  const auto turned = [&](RopeStyle style, std::int64_t k_offset, double factor) {
    run({.dtype = DType::f32, .head_dim = 5},
        {.new_k = row_tensor(new_k.data(), 1, 1, 5),
         .new_v = row_tensor(new_k.data(), 1, 1, 5),
         .k = row_tensor(k.data(), 1, 1, 5),
         .v = row_tensor(v.data(), 1, 1, 5),
         .rope = {.style = style, .dim = 4, .theta = 100, .factor = factor},
         .k_offset = k_offset});
    CHECK(v == new_k);
    CHECK(k[4] == 55);
    return k;
  };
  // A quarter of a turn takes (a, b) to (-b, a).
  const auto close = [](float found, double wanted) {
    return found == Approx(wanted).margin(1e-6);
  };
  std::vector<float> found = turned(RopeStyle::interleaved, 3, 3 / quarter);
  CHECK(close(found[0], -2));
  CHECK(close(found[1], 1));
  CHECK(close(found[2], 3 * std::cos(quarter / 10) - 4 * std::sin(quarter / 10)));
  found = turned(RopeStyle::split_half, 3, 3 / quarter);
  CHECK(close(found[0], -3));
  CHECK(close(found[2], 1));
  CHECK(close(found[1], 2 * std::cos(quarter / 10) - 4 * std::sin(quarter / 10)));
  CHECK(turned(RopeStyle::split_half, 0, 1) == new_k);
}

TEST_CASE("angles are right to a billionth at any position") {
  const RopeSteps steps = rope_steps({.style = RopeStyle::split_half, .theta = 5e5}, 128);
  REQUIRE(steps.size() == 64);
  for (const std::int64_t position : {0L, 1L, 1000L, 1L << 20, (1L << 29) - 1, -12345L}) {
    for (std::size_t i = 0; i < steps.size(); i++) {
      const long double angle =
          position * std::pow(5e5L, -2.0L * static_cast<long double>(i) / 128);
      const double found = rope_angle(steps[i], position);
      CHECK(std::abs(std::cos(found) - static_cast<double>(std::cos(angle))) < 1e-9);
      CHECK(std::abs(std::sin(found) - static_cast<double>(std::sin(angle))) < 1e-9);
    }
  }
}

TEST_CASE("queries may be turned in place") {
  const AppendCase given{
      .forward = {.problem = {.head_dim = 32, .group_size = 2},
                  .shape = {.batch = 2, .kv_heads = 2, .q_len = 9, .kv_len = 20}},
      .rope = {.style = RopeStyle::split_half, .dim = 16}};
  AppendTensors apart(given), in_place(given);
  run(given.forward.problem, apart.args());
  AppendArgs args = in_place.args();
  args.rotated_q = args.q;
  run(given.forward.problem, args);
  CHECK(std::ranges::equal(apart.rotated_q.bytes(), in_place.q.bytes()));
}

TEST_CASE("a position outside the tables takes the nearest row") {
  AppendCase given{.forward = {.problem = {.dtype = DType::f32, .head_dim = 8, .kv_lens = true},
                               .shape = {.batch = 1, .kv_heads = 1, .q_len = 6, .kv_len = 6},
                               .lengths = {.q = {}, .kv = {6}},
                               .k_offset = -2},
                   .rope = {.style = RopeStyle::interleaved},
                   .with_tables = true};
  const AppendTensors tensors(given);
  AppendArgs args = tensors.args();
  REQUIRE(args.rope.cos.seq == 4);
  args.rope.cos.seq = args.rope.sin.seq = 3;  // positions -2 to 3
  run(given.forward.problem, args);
  CHECK(check_append_result(given.forward.problem, tensors, args).ok());
}

}  // namespace streamattn
