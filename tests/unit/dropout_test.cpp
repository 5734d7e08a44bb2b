// Which weights are dropped: Philox, its statistics, what a pair depends on, and what is refused.
#include "compiler/operations/forward/dropout.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "compiler/operations/backward/check.h"
#include "compiler/operations/forward/check.h"
#include "measure/backward_case.h"
#include "measure/dropped_pairs.h"
#include "streamattn/compiler.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

namespace streamattn {
namespace {

/// What rows of a call keep of the keys [first, first + count).
std::vector<std::uint8_t> kept(const ForwardCall& call, const CallRow& row, std::int64_t first,
                               std::int64_t count) {
  std::vector<std::uint8_t> keeps(count);
  KeptWeights(call).find(row, first, count, keeps.data());
  return keeps;
}

ForwardCall call_with(const Dropout& dropout, std::int64_t q_position = 0,
                      std::int64_t k_position = 0) {
  ForwardCall call = {};
  call.q.heads = call.k.heads = 8;
  call.q_position = q_position, call.k_position = k_position;
  call.dropout = dropout;
  return call;
}

/// The share of pairs of some rows and keys in which two masks agree.
double agreement(const ForwardCall& a, const CallRow& row_a, const ForwardCall& b,
                 const CallRow& row_b) {
  constexpr std::int64_t keys = 1 << 16;
  const auto left = kept(a, row_a, 0, keys), right = kept(b, row_b, 0, keys);
  double same = 0;
  for (std::int64_t i = 0; i < keys; i++) same += left[i] == right[i] ? 1 : 0;
  return same / keys;
}

}  // namespace

TEST_CASE("Philox gives the published answers") {
  using Words = std::array<std::uint32_t, 4>;
  constexpr std::uint32_t ones = 0xFFFFFFFF;
  const Words digits = {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344};  // of pi
  CHECK(philox4x32(7, {}, {}) == Words{0x5f6fb709, 0x0d893f64, 0x4f121f81, 0x4f730a48});
  CHECK(philox4x32(7, {ones, ones, ones, ones}, {ones, ones}) ==
        Words{0x5207ddc2, 0x45165e59, 0x4d8ee751, 0x8c52f662});
  CHECK(philox4x32(7, digits, {0xa4093822, 0x299f31d0}) ==
        Words{0x4dfccaba, 0x190a87f0, 0xc47362ba, 0xb6b5242a});
  CHECK(philox4x32(10, {}, {}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32(10, {ones, ones, ones, ones}, {ones, ones}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32(10, digits, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("the host keeps the pairs that the definition keeps") {
  for (const auto& [q, k] : {std::pair<std::int64_t, std::int64_t>{0, 0},
                             {5, 3},
                             {-7, -100},
                             {std::int64_t{1} << 40, (std::int64_t{1} << 41) - 9}}) {
    const Dropout dropout{.rate = 0.3F, .seed = 0x123456789abcdef0, .offset = 0xfedcba9876543210};
    const ForwardCall call = call_with(dropout, q, k);
    const CallRow row{.batch = 3, .head = 5, .row = 11};
    const auto found = kept(call, row, 13, 200);
    for (std::int64_t i = 0; i < 200; i++) {
      CAPTURE(q, k, i);
      CHECK((found[i] != 0) == is_kept(dropout, {3, 5, q + 11, k + 13 + i}));
    }
  }
}

TEST_CASE("rates are rounded down to a number of 256 that are kept") {
  CHECK(Dropout{}.kept_of_256() == 256);
  CHECK(Dropout{.rate = 0.1F}.kept_of_256() == 230);
  CHECK(Dropout{.rate = 0.5F}.kept_of_256() == 128);
  CHECK(Dropout{.rate = 0.5F}.keep_probability() == 0.5);
  CHECK(Dropout{.rate = 0.9999F}.kept_of_256() == 1);
}

TEST_CASE("so many pairs are kept as the rate says, evenly over bytes, rows and heads") {
  for (const float rate : {0.1F, 0.5F, 0.9F}) {
    const ForwardCall call = call_with({.rate = rate, .seed = 7});
    const double expected = call.dropout.keep_probability();
    double chi_square = 0;
    constexpr int cells = 64, keys = 4096;  // rows of heads
    for (int cell = 0; cell < cells; cell++) {
      double count = 0;
      for (const std::uint8_t keep : kept(call, {0, cell % 8, cell / 8}, 0, keys)) count += keep;
      const double deviation = count - expected * keys;
      chi_square += deviation * deviation / (keys * expected * (1 - expected));
    }
    CAPTURE(rate, chi_square);
    CHECK(chi_square > cells - 4 * std::sqrt(2.0 * cells));
    CHECK(chi_square < cells + 4 * std::sqrt(2.0 * cells));
  }
}

TEST_CASE("bytes of pairs have every value as often") {
  std::array<double, 256> counts = {};
  constexpr std::int64_t keys = 1024, rows = 64;
  for (std::int64_t q = 0; q < rows; q++)
    for (std::int64_t k = 0; k < keys; k++) counts[byte_of({.seed = 3}, {1, 2, q, k})]++;
  double chi_square = 0;
  constexpr double expected = keys * rows / 256.0;
  for (const double count : counts)
    chi_square += (count - expected) * (count - expected) / expected;
  CAPTURE(chi_square);
  CHECK(chi_square > 255 - 4 * std::sqrt(2.0 * 255));
  CHECK(chi_square < 255 + 4 * std::sqrt(2.0 * 255));
}

TEST_CASE("seeds, offsets, heads, batch entries and queries have masks of their own") {
  const Dropout dropout{.rate = 0.5F, .seed = 1, .offset = 1};
  const ForwardCall call = call_with(dropout);
  const CallRow row{1, 1, 1};
  const auto of = [&](Dropout other) { return agreement(call, row, call_with(other), row); };
  const auto of_row = [&](CallRow other) { return agreement(call, row, call, other); };
  CHECK(of(dropout) == 1);
  constexpr double margin = 0.01;  // five standard deviations
  for (const double share :
       {of({0.5F, 2, 1}), of({0.5F, 1, 2}), of({0.5F, std::uint64_t{1} << 32 | 1, 1}),
        of({0.5F, 1, std::uint64_t{1} << 32 | 1}), of_row({1, 1, 2}), of_row({1, 2, 1}),
        of_row({2, 1, 1}), agreement(call, row, call_with({0.5F, 1, 2}), {1, 2, 1})})
    CHECK(std::abs(share - 0.5) < margin);
}

TEST_CASE("a larger share keeps what a smaller one keeps") {
  const CallRow row{0, 0, 0};
  const auto few = kept(call_with({.rate = 0.7F, .seed = 5}), row, 0, 4096);
  const auto many = kept(call_with({.rate = 0.2F, .seed = 5}), row, 0, 4096);
  for (std::size_t i = 0; i < few.size(); i++) CHECK(few[i] <= many[i]);
}

TEST_CASE("what no kernel of a GPU drops is declined with the reason") {
  const Target& hopper = find_target("sm_90a");
  const auto complaint = [&](Operation operation, const Problem& problem) {
    return error_of([&] { choose(operation, problem, {}, hopper); });
  };
  const Problem narrow{.head_dim = 8, .dropout = true};
  CHECK_THAT(complaint(Operation::forward, narrow),
             contains_text("decode_wgmma: dropout: its kernels keep all weights"));
  CHECK(complaint(Operation::forward, {.kv_layout = SequenceLayout::paged, .dropout = true}) ==
        "nothing");
  CHECK(complaint(Operation::forward, {.dropout = true}) == "nothing");
  CHECK(complaint(Operation::forward, {.kv_lens = true, .dropout = true}) == "nothing");
  CHECK(complaint(Operation::backward, {.dropout = true}) == "nothing");

  const Problem small{.head_dim = 64, .dropout = true};
  const Schedule schedule = parse_schedule(
      "tile_q=128", choose(Operation::backward, small, {.q_len = 4096}, hopper).schedule);
  CHECK_THAT(
      error_of([&] { emit(Operation::backward, small, schedule, hopper); }),
      contains_text("tile_q 128 is for head dims up to 64, the score as it is and no dropout"));
}

TEST_CASE("what launches say of dropout must fit the problem") {
  const auto complaint = [](bool has_dropout, float rate) {
    BackwardCase given{.forward = {.problem = {.dtype = DType::f32, .dropout = has_dropout},
                                   .shape = {1, 1, 4, 4}}};
    given.forward.dropout.rate = rate;
    const BackwardTensors tensors(given);
    const Problem& problem = given.forward.problem;
    const std::string forward = error_of([&] { check_forward(problem, tensors.forward.args()); });
    CHECK(error_of([&] { check_backward(problem, tensors.args()); }) == forward);
    return forward;
  };
  CHECK(complaint(true, 0.25F) == "nothing");
  CHECK(complaint(true, 0) == "nothing");
  CHECK(complaint(false, 0) == "nothing");
  CHECK(complaint(false, 0.25F) ==
        "invalid_argument: dropout: rate is 0.2500, the problem has no dropout");
  CHECK(complaint(true, 1) ==
        "invalid_argument: dropout: rate is 1.0000, must be at least 0 and less than 1");
  CHECK_THAT(complaint(true, -0.5F), contains_text("rate is -0.5000, must be at least 0"));
  CHECK_THAT(complaint(true, std::numeric_limits<float>::quiet_NaN()),
             contains_text("must be at least 0 and less than 1"));
}

}  // namespace streamattn
