// Gradients of named tensors, computed by kernels that the emulator executes.
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"

using namespace streamattn;

namespace {

GoldenCase case_of(const char* score, const char* sink = nullptr, const Expr& mask = causal()) {
  GoldenCase golden = golden_case("backward_wgmma_bf16_d64");
  golden.schedule = parse_schedule("tile_q=64", golden.schedule);
  golden.problem.group_size = 2;
  golden.problem.mask = mask;
  golden.problem.score = Expr::parse(score, ExprRole::score);
  if (sink != nullptr) golden.problem.sink = Expr::parse(sink, ExprRole::score);
  return golden;
}

}  // namespace

TEST_CASE("gradients of tensors agree with float64 however pairs share their elements") {
  struct Case {
    const char *score, *sink;
  };
  for (const Case& c : {Case{"score + row[q]"},
                        {"score + column[k]"},
                        {"score * t[kv_head] + column[batch, k] + t[head]"},
                        {"score + table[(q - k) % 7, head] * 0.5"},
                        {"score * exp(t[head, q // 16] * 0.1)"},
                        {"tanh(score * t[head]) * cap[batch]"},
                        {"score + bias[q, k] + bias[k, q]"},
                        {"score + bias:bf16[head, q + 1, k]"},
                        {"score + row[q]", "sink[head] + row[q]"},
                        {"score", "min(sink[head, q % 3], 0.5)"}}) {
    const GoldenCase golden = case_of(c.score, c.sink);
    const EmulatedBackward kernel(golden);
    for (const int max_sms : {0, 1}) {  // one item a block, and many
      BackwardCase given = backward_call_of(golden, {2, 1, 150, 200});
      given.forward.max_sms = max_sms;
      INFO(given.describe());
      check_gradients(given, kernel.emulate(given));
    }
  }
}

TEST_CASE("what only a mask takes of a tensor has a gradient of zeros") {
  GoldenCase golden = case_of("score", nullptr, Expr::parse("gate:f32[k] > -0.5"));
  const BackwardCase given = backward_call_of(golden, {1, 1, 70, 140});
  const BackwardTensors tensors = EmulatedBackward(golden).emulate(given);
  check_gradients(given, tensors);
  REQUIRE(tensors.elements.size() == 1);
  for (const float value : tensors.elements[0].values) REQUIRE(value == 0);
}

TEST_CASE("gradients of tensors are equal bit for bit in whatever order blocks run") {
  const GoldenCase golden =
      case_of("score * t[kv_head] + table[q - k + 300] + bias[head, q, k]", "sink[head]");
  const EmulatedBackward kernel(golden);
  BackwardCase given = backward_call_of(golden, {2, 1, 150, 200});
  given.forward.max_sms = 2;
  BackwardTensors first = kernel.emulate(given);
  check_gradients(given, first);
  for (const int multiprocessors : {1, 3}) {
    for (const std::uint64_t seed : {2, 3}) {
      BackwardTensors other =
          kernel.emulate(given, {.seed = seed, .multiprocessors = multiprocessors});
      CHECK(same_gradients(first, other));
    }
  }
}

TEST_CASE("gradients of tensors are added to what is there, of some rows at offsets") {
  const GoldenCase golden = case_of("score * t[head] + table[q - k + 300]", "sink[head] + t[head]");
  BackwardCase given = backward_call_of(golden, {1, 2, 200, 300});
  given.gradient_dtype = DType::f32;
  given.accumulate = true;
  given.forward.q_rows = Rows{37, 170};
  given.forward.kv_rows = Rows{81, 233};
  given.forward.q_offset = 120;
  INFO(given.describe());
  check_gradients(given, EmulatedBackward(golden).emulate(given));
}

TEST_CASE("gradients of tensors are zeros where there are no pairs") {
  const GoldenCase golden = case_of("score * t[head]", "sink[head]");
  const EmulatedBackward kernel(golden);
  for (const Shape& shape : {Shape{1, 1, 0, 70}, Shape{1, 1, 70, 0}, Shape{0, 1, 70, 70}}) {
    const BackwardCase given = backward_call_of(golden, shape);
    INFO(given.describe());
    check_gradients(given, kernel.emulate(given));
  }
}
