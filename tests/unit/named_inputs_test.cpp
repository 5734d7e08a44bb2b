// Contents and sizes of the tensors that a problem names.
#include "measure/named_inputs.h"

#include <algorithm>
#include <cmath>

#include "measure/forward_case.h"
#include "streamattn/error.h"
#include "support/half.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

namespace streamattn {
namespace {

/// The tensor of a problem that has one, and its elements as numbers.
struct Filled {
  Filled(const Expr& mask, const Expr& score, std::vector<NamedInput> tensors = {},
         std::uint64_t seed = 1)
      : inputs(named_inputs({.problem = {.group_size = 2, .mask = mask, .score = score},
                             .shape = {2, 3, 40, 100},
                             .seed = seed,
                             .scalars = {{"n", 5}},
                             .tensors = std::move(tensors)})) {
    REQUIRE(inputs.tensors().size() == 1);
    tensor = inputs.tensors()[0];
    std::int64_t count = 1;
    for (int d = 0; d < tensor.rank; d++) count *= tensor.sizes[d];
    for (std::int64_t i = 0; i < count; i++)
      values.push_back(is_real(tensor.dtype) ? double{load_element(tensor.data, tensor.dtype, i)}
                       : tensor.dtype == DType::u8
                           ? static_cast<const std::uint8_t*>(tensor.data)[i]
                           : static_cast<const std::int32_t*>(tensor.data)[i]);
  }

  NamedInputs inputs;
  TensorArg tensor = {};
  std::vector<double> values;
};

Filled of_mask(const char* mask, std::vector<NamedInput> tensors = {}, std::uint64_t seed = 1) {
  return {Expr::parse(mask), Problem().score, std::move(tensors), seed};
}

Filled of_score(const char* score, std::vector<NamedInput> tensors = {}) {
  return {true, Expr::parse(score, ExprRole::score), std::move(tensors)};
}

using Four = std::array<std::int64_t, 4>;

}  // namespace

TEST_CASE("a named tensor is as large as its indices reach") {
  // Queries are at positions 60 to 99.
  CHECK(of_mask("t[batch, q] == t[batch, k]").tensor.sizes == Four{2, 100});
  CHECK(of_mask("bit(t[batch, q, k // 32], k % 32)").tensor.sizes == Four{2, 100, 4});
  CHECK(of_score("t[head, kv_head, q_len, kv_len - 1]").tensor.sizes == Four{6, 3, 41, 100});
  CHECK(of_score("t[k - q + 8]").tensor.sizes == Four{48});
  CHECK(of_score("t[min(abs(q - k), n), max(-k, 3)]").tensor.sizes == Four{6, 4});
  CHECK(of_score("t[q * k]").tensor.sizes == Four{99 * 99 + 1});
  CHECK(of_score("t[select(k < 3, 10, k % n)]").tensor.sizes == Four{11});
  CHECK(of_score("t[0 - k]").tensor.sizes == Four{1});
}

TEST_CASE("every kind of contents is what it says") {
  SECTION("random") {
    const auto normal = of_score("t[q, k]").values;
    double square = 0;
    for (const double value : normal) square += value * value;
    CHECK(square / static_cast<double>(normal.size()) == Approx(1).epsilon(0.05));
    const auto wide = of_score("t[q, k]", {{"t", InputKind::random, 100}}).values;
    CHECK(wide[7] == Approx(100 * normal[7]));
    for (const double value : of_mask("t[q, k] < 3", {{"t", InputKind::random, 4}}).values)
      CHECK((value >= 0 && value <= 3));
  }
  SECTION("slopes") {
    const auto slopes = of_score("t[head]", {{"t", InputKind::slopes}}).values;
    REQUIRE(slopes.size() == 6);
    for (int i = 0; i < 6; i++) CHECK(slopes[i] == Approx(std::exp2(-8.0 * (i + 1) / 6)));
  }
  SECTION("documents") {
    const auto ids = of_mask("t[batch, k] == 0", {{"t", InputKind::documents, 10}}).values;
    for (const std::size_t row : {0, 100}) {
      CHECK(ids[row] == 0);
      for (std::size_t i = 1; i < 100; i++) {
        const double step = ids[row + i] - ids[row + i - 1];
        CHECK((step == 0 || step == 1));
      }
      CHECK(ids[row + 99] >= 5);
      CHECK(ids[row + 99] <= 20);
    }
    CHECK(!std::equal(ids.begin(), ids.begin() + 100, ids.begin() + 100));
  }
  SECTION("lengths") {
    for (const double length : of_mask("k < t[batch]").values)
      CHECK((length >= 50 && length <= 100));
    for (const double length : of_mask("k < t[batch]", {{"t", InputKind::lengths, 1}}).values)
      CHECK(length == 1);
  }
  SECTION("bits") {
    const auto flags = of_mask("t:u8[q, k]", {{"t", InputKind::bits, 0.25}}).values;
    CHECK(std::ranges::count(flags, 1.0) == Approx(flags.size() * 0.25).epsilon(0.1));
    CHECK(std::ranges::count(flags, 0.0) + std::ranges::count(flags, 1.0) == std::ssize(flags));
    const auto words = of_mask("bit(t[q, k // 32], k % 32)").values;
    std::int64_t ones = 0;
    for (const double word : words)
      ones += __builtin_popcount(static_cast<unsigned>(static_cast<std::int32_t>(word)));
    CHECK(ones == Approx(words.size() * 16).epsilon(0.1));
  }
  SECTION("constant") {
    for (const double value : of_score("t[k]", {{"t", InputKind::constant, 2.5}}).values)
      CHECK(value == 2.5);
    for (const double value : of_score("t[k]", {{"t", InputKind::constant}}).values)
      CHECK(value == 0);
  }
}

TEST_CASE("equal seeds give equal contents, other seeds others") {
  CHECK(of_mask("t[q, k] == 0").values == of_mask("t[q, k] == 0").values);
  CHECK(of_mask("t[q, k] == 0", {}, 2).values != of_mask("t[q, k] == 0").values);
}

TEST_CASE("kinds have names") {
  for (const InputKind kind : {InputKind::random, InputKind::slopes, InputKind::documents,
                               InputKind::lengths, InputKind::bits, InputKind::constant})
    CHECK(parse_input_kind(name(kind)) == kind);
  CHECK(parse_input_kind("zeros") == InputKind::constant);
  CHECK(error_of([] { parse_input_kind("slope"); }) ==
        "invalid_argument: unknown kind of input \"slope\", did you mean \"slopes\"?");
}

TEST_CASE("numbers that a kind has no use for are refused") {
  const auto complaint = [](InputKind kind, double number) {
    return error_of([&] { check_number({"t", kind, number}); });
  };
  using Kind = InputKind;
  const std::string place = "invalid_argument: ";
  CHECK(complaint(Kind::slopes, 2) == place + "slopes takes no number, 2 is given");
  CHECK(complaint(Kind::random, NAN) ==
        place + "random: the number is nan, needs to lie between -2^31 and 2^31");
  CHECK(complaint(Kind::random, -2) == "nothing");
  for (const Kind kind : {Kind::lengths, Kind::documents}) {
    for (const double number : {-5.0, 0.5, 0x1p31, double{NAN}})
      CHECK_THAT(complaint(kind, number), contains_text("needs 1 or more, and less than 2^31"));
    CHECK(complaint(kind, 1) == "nothing");
  }
  for (const double share : {2.0, -0.1, double{NAN}})
    CHECK_THAT(complaint(Kind::bits, share), contains_text("needs a share of ones, 0 to 1"));
  CHECK(complaint(Kind::bits, 1) == "nothing");
  CHECK(complaint(Kind::constant, NAN) == place + "constant: the number is nan, needs to be one");
  CHECK(complaint(Kind::constant, -INFINITY) == "nothing");
  CHECK(error_of([] { of_mask("t[k] == 0", {{"t", InputKind::constant, 1e10}}); }) ==
        place + "tensor \"t\": 1e+10 is no i32");
  CHECK_THAT(error_of([] { of_mask("t[k] == 0", {{"t", InputKind::lengths, -5}}); }),
             contains_text("lengths: the number is -5"));
}

TEST_CASE("tensors that a problem does not name, or too large ones, are refused") {
  CHECK(error_of([] { of_mask("t[k] == 0", {{"other", InputKind::bits}}); }) ==
        "invalid_argument: tensor \"other\": the problem names no such tensor, known: t");
  CHECK(error_of([] { named_inputs({.tensors = {{"s", InputKind::bits}}}); }) ==
        "invalid_argument: tensor \"s\": the problem names no tensor");
  CHECK(error_of([] { of_mask("t[q * 999999, k * 999999] == 0"); }) ==
        "invalid_argument: tensor \"t\": its indices reach more than 2^31 elements");
}

}  // namespace streamattn
