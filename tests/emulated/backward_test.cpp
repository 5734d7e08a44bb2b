// Backward kernels, executed by the emulator on small shapes.
#include <algorithm>

#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"
#include "tests/support/golden_cases.h"

using namespace streamattn;

namespace {

/// Several key tiles and query tiles with odd tails; two batch entries; rows that see no key under
/// a causal mask; single rows; no keys and no queries at all.
constexpr Shape shapes[] = {{.batch = 1, .kv_heads = 2, .q_len = 300, .kv_len = 413},
                            {.batch = 2, .kv_heads = 1, .q_len = 65, .kv_len = 130},
                            {.batch = 1, .kv_heads = 1, .q_len = 230, .kv_len = 70},
                            {.batch = 2, .kv_heads = 1, .q_len = 1, .kv_len = 3},
                            {.batch = 1, .kv_heads = 1, .q_len = 5, .kv_len = 0},
                            {.batch = 1, .kv_heads = 1, .q_len = 0, .kv_len = 140}};

/// Fewer key tiles than blocks, and many queries: items are parts of key tiles.
constexpr Shape cut_by_queries = {.batch = 1, .kv_heads = 1, .q_len = 1200, .kv_len = 140};

bool is_small(const Problem& problem) {
  return std::max(problem.head_dim, problem.v_head_dim()) <= 128;
}

/// Those whose problem `is_meant`, with all shapes.
void check_goldens(bool (*is_meant)(const Problem&)) {
  for (const GoldenCase& golden : backward_golden_cases()) {
    if (!is_meant(golden.problem)) continue;
    const EmulatedBackward kernel(golden);
    for (const Shape& shape : shapes) {
      for (const std::uint64_t seed : {1, 2}) {
        const BackwardCase given = backward_call_of(golden, shape, seed);
        INFO(golden.name << ": " << given.describe());
        check_gradients(given, kernel.emulate(given, {.seed = seed, .multiprocessors = 3}));
      }
    }
  }
}

void check_golden(const char* name, const BackwardCase& given, const Emulation& how = {}) {
  INFO(name << ": " << given.describe());
  check_gradients(given, EmulatedBackward(golden_case(name)).emulate(given, how));
}

}  // namespace

TEST_CASE("golden backward kernels agree with float64 under several seeds") {
  check_goldens(
      [](const Problem& problem) { return is_small(problem) && !problem.changes_score(); });
}

TEST_CASE("golden backward kernels with scores agree with float64 under several seeds") {
  check_goldens(
      [](const Problem& problem) { return is_small(problem) && problem.changes_score(); });
}

TEST_CASE("golden backward kernels of large head dims agree with float64 under several seeds") {
  check_goldens([](const Problem& problem) { return !is_small(problem); });
}

TEST_CASE("gradients are equal bit for bit in whatever order blocks run") {
  for (const char* name : {"backward_wgmma_bf16_d64", "backward_wgmma_bf16_d128_g4_causal",
                           "backward_wgmma_bf16_d192x128_causal"}) {
    const GoldenCase golden = golden_case(name);
    const EmulatedBackward kernel(golden);
    for (const Shape& shape : {Shape{1, 2, 200, 500}, cut_by_queries}) {
      BackwardCase given = backward_call_of(golden, shape);
      BackwardTensors first = kernel.emulate(given, {.multiprocessors = 8});
      check_gradients(given, first);
      for (const int blocks : {1, 3, 8}) {
        given.forward.max_sms = blocks;
        for (const std::uint64_t seed : {2, 3}) {
          CAPTURE(name, blocks, seed);
          BackwardTensors other = kernel.emulate(given, {.seed = seed, .multiprocessors = 8});
          CHECK(same_gradients(first, other));
        }
      }
    }
  }
}

TEST_CASE("key tiles whose queries several items share have exact gradients") {
  for (const char* name :
       {"backward_wgmma_bf16_d64", "backward_wgmma_bf16_d64_causal",
        "backward_wgmma_bf16_d128_sinks_window", "backward_wgmma_bf16_d128_g4_causal",
        "backward_wgmma_f16_d128_causal", "backward_wgmma_bf16_d192x128_causal"}) {
    const GoldenCase golden = golden_case(name);
    const EmulatedBackward kernel(golden);
    // The first queries see no key, or all but some of the last.
    for (const auto& [multiprocessors, first] : {std::pair(5, -600), std::pair(8, 40)}) {
      BackwardCase given = backward_call_of(golden, cut_by_queries);
      given.forward.layout = Layout::padded;
      given.forward.q_offset = first;
      INFO(given.describe());
      check_gradients(given,
                      kernel.emulate(given, {.seed = 2, .multiprocessors = multiprocessors}));
    }
  }
}

TEST_CASE("parts of key tiles whose walk climbs have exact gradients") {
  BackwardCase given =
      backward_call_of(golden_case("backward_wgmma_bf16_d64_causal"), {1, 3, 1200, 100});
  given.forward.q_offset = 0;
  check_golden("backward_wgmma_bf16_d64_causal", given, {.seed = 2, .multiprocessors = 8});
}

TEST_CASE("backward kernels write float32, and add to what is there") {
  for (const char* name : {"backward_wgmma_bf16_d80_causal", "backward_wgmma_bf16_d128"}) {
    for (const bool accumulate : {false, true}) {
      BackwardCase given = backward_call_of(golden_case(name), {1, 2, 150, 200});
      given.gradient_dtype = DType::f32;
      given.accumulate = accumulate;
      check_golden(name, given);
    }
  }
}

TEST_CASE("backward kernels take any strides that TMA takes") {
  for (const Layout layout : {Layout::bhsd, Layout::sbhd, Layout::padded}) {
    BackwardCase given =
        backward_call_of(golden_case("backward_wgmma_bf16_d64_causal"), {2, 2, 150, 200});
    given.forward.layout = layout;
    check_golden("backward_wgmma_bf16_d64_causal", given);
  }
}

TEST_CASE("backward kernels compute some rows of some keys at offsets") {
  for (const char* name : {"backward_wgmma_bf16_d64", "backward_wgmma_bf16_d128_causal"}) {
    BackwardCase given = backward_call_of(golden_case(name), {1, 2, 300, 400});
    given.forward.q_rows = Rows{37, 270};
    given.forward.kv_rows = Rows{81, 333};
    given.forward.scale = 0.2F;
    given.forward.q_offset = 120;
    given.forward.k_offset = -7;
    check_golden(name, given);
  }
}

TEST_CASE("every offset of the queries modulo a key tile has exact gradients") {
  const GoldenCase golden = golden_case("backward_wgmma_bf16_d16_causal");
  const EmulatedBackward kernel(golden);
  for (int offset = -70; offset < 200; offset += 9) {
    BackwardCase given = backward_call_of(golden, {1, 1, 90, 150});
    given.forward.q_offset = offset;
    INFO(given.describe());
    check_gradients(given, kernel.emulate(given));
  }
}

TEST_CASE("windows of every width have exact gradients, and tiles that nobody sees none") {
  const GoldenCase golden = golden_case("backward_wgmma_bf16_d128_sinks_window");
  const EmulatedBackward kernel(golden);
  for (const double window : {1, 30, 64, 128, 129, 250}) {
    for (const double first : {0, 5, 140}) {
      BackwardCase given = backward_call_of(golden, {1, 1, 340, 340});
      given.forward.scalars = {{"window", window}, {"first", first}};
      INFO(given.describe());
      check_gradients(given, kernel.emulate(given));
    }
  }
  BackwardCase none = backward_call_of(golden, {1, 1, 200, 200});
  none.forward.scalars = {{"window", 0}, {"first", 0}};
  BackwardTensors tensors = kernel.emulate(none);
  check_gradients(none, tensors);
}

TEST_CASE("what lies in tiles that no query sees never reaches a gradient") {
  const GoldenCase golden = golden_case("backward_wgmma_bf16_d128_sinks_window");
  const EmulatedBackward kernel(golden);
  BackwardCase given = backward_call_of(golden, {1, 1, 300, 300});
  given.forward.scalars = {{"window", 40}, {"first", 0}};
  given.forward.q_offset = 250;  // keys up to 210 are behind every window
  BackwardTensors clean = kernel.emulate(given);
  check_gradients(given, clean);
  BackwardTensors dirty = kernel.emulate(given, {}, [](BackwardTensors& tensors) {
    tensors.forward.k.poison({0, 128});
    tensors.forward.v.poison({0, 128});
  });
  CHECK(same_gradients(clean, dirty));
}

TEST_CASE("backward kernels take head dims above 128, each by itself") {
  for (const auto& [head_dim, value_head_dim] :
       {std::pair(256, 256), std::pair(64, 256), std::pair(256, 40), std::pair(232, 136)}) {
    GoldenCase golden = golden_case("backward_wgmma_bf16_d256_causal");
    golden.problem.head_dim = head_dim;
    golden.problem.value_head_dim = value_head_dim;
    for (const DType gradients : {DType::bf16, DType::f32}) {
      BackwardCase given = backward_call_of(golden, {1, 2, 150, 200});
      given.gradient_dtype = gradients;
      given.accumulate = gradients == DType::f32;
      INFO(given.describe());
      check_gradients(given, EmulatedBackward(golden).emulate(given));
    }
  }
}

TEST_CASE("backward kernels take any score") {
  for (const char* score :
       {"score * temperature[head, q]", "score + table[q - k + 300]",
        "select(k > q - 40, score, score * 0.5 - abs(score) / (1.5 + abs(score)))",
        "max(score, 0.25) / (1.0 + exp(-score)) + bias:f16[batch, head, q, k]",
        "score * 0.0 + bias[head, q, k]"}) {
    for (const Expr& mask : {Expr(), causal()}) {
      GoldenCase golden = golden_case("backward_wgmma_bf16_d64");
      golden.schedule = parse_schedule("tile_q=64", golden.schedule);
      golden.problem.mask = mask;
      golden.problem.score = Expr::parse(score, ExprRole::score);
      golden.problem.group_size = 2;
      const BackwardCase given = backward_call_of(golden, {2, 1, 150, 200});
      INFO(given.describe());
      check_gradients(given, EmulatedBackward(golden).emulate(given));
    }
  }
}
