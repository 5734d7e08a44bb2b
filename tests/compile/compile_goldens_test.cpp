// Every golden kernel through NVRTC, without a GPU.
#include <llvm/Support/Parallel.h>

#include <algorithm>
#include <iostream>

#include "compiler/toolchain/nvrtc.h"
#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tests/support/golden_cases.h"
#include "tests/support/scratch.h"
#include "tests/support/skip.h"

using namespace streamattn;

namespace {

bool has_nvrtc() {
  auto candidates = find_nvrtc();
  return std::any_of(candidates.begin(), candidates.end(), [](auto& c) { return c.usable; });
}

}  // namespace

TEST_CASE("every golden kernel compiles without spills or serialised matrix instructions") {
  if (!has_nvrtc()) SKIP_TEST("no usable NVRTC");
  std::vector<double> milliseconds;
  for (const GoldenFile& golden : golden_files()) {
    Binary binary = compile(golden.source);
    INFO(golden.name << " took " << binary.compile_milliseconds << " ms");
    for (const std::string& advisory : binary.advisories) FAIL_CHECK(advisory);
    CHECK(binary.resources.spill_store_bytes == 0);
    CHECK(binary.resources.spill_load_bytes == 0);
    CHECK(binary.resources.stack_bytes == 0);
    // __launch_bounds__ fixes the registers at launch: 65536 over the threads, in steps of 8.
    CHECK(binary.resources.registers <= 65536 / golden.source.threads / 8 * 8);
    milliseconds.push_back(binary.compile_milliseconds);
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  std::cout << milliseconds.size() << " goldens, compile time median "
            << milliseconds[milliseconds.size() / 2] << " ms, worst " << milliseconds.back()
            << " ms\n";
}

TEST_CASE("every head_dim compiles without spills for few and for many tiles") {
  if (!has_nvrtc()) SKIP_TEST("no usable NVRTC");
  struct Case {
    Problem problem;
    Shape shape;
    Binary binary;
  };
  std::vector<Case> cases;
  for (int head_dim = 16; head_dim <= 256; head_dim += 8) {
    // Every golden head_dim is there already, and neighbours alternate between the two sizes.
    std::int64_t length = head_dim / 8 % 2 ? 16384 : 256;
    Shape shape{.batch = 1, .kv_heads = 16, .q_len = length, .kv_len = length};
    cases.push_back({{.dtype = DType::f16, .head_dim = head_dim, .mask = causal()}, shape});
  }
  const Target& target = find_target("sm_90a");
  llvm::parallelFor(0, cases.size(), [&](std::size_t i) {
    Case& c = cases[i];
    c.binary = compile(emit(Operation::forward, c.problem,
                            choose(Operation::forward, c.problem, c.shape, target).schedule, target)
                           .front());
  });
  for (const Case& c : cases) {
    INFO(c.problem.describe());
    for (const std::string& advisory : c.binary.advisories) FAIL_CHECK(advisory);
    CHECK(c.binary.resources.spill_store_bytes == 0);
    CHECK(c.binary.resources.stack_bytes == 0);
  }
}

namespace {

/// All kernels of the schedule that is chosen for packed queries.
void check_packed_compile(int head_dim, const Expr& mask, SequenceLayout kv_layout,
                          const Shape& shape) {
  const Problem problem{.head_dim = head_dim,
                        .group_size = 4,
                        .mask = mask,
                        .q_layout = SequenceLayout::packed,
                        .kv_layout = kv_layout};
  const Target& target = find_target("sm_90a");
  const Schedule schedule = choose(Operation::forward, problem, shape, target).schedule;
  INFO(problem.describe() << ": " << schedule.describe());
  for (const Source& source : emit(Operation::forward, problem, schedule, target)) {
    const Binary binary = compile(source);
    for (const std::string& advisory : binary.advisories) FAIL_CHECK(advisory);
    CHECK(binary.resources.spill_store_bytes == 0);
    CHECK(binary.resources.stack_bytes == 0);
  }
}

Expr streaming() {
  return causal() && (sliding_window(scalar("window")) || sinks(scalar("first")));
}

}  // namespace

TEST_CASE("head dims and masks of sequences that differ compile without spills") {
  if (!has_nvrtc()) SKIP_TEST("no usable NVRTC");
  for (const int head_dim : {16, 64, 112, 128, 192, 256})
    for (const Expr& mask : {Expr(), causal(), streaming()})
      for (const SequenceLayout kv_layout : {SequenceLayout::packed, SequenceLayout::paged})
        for (const std::int64_t length : {256, 8192})
          if (length > 256 || mask.same_as(causal()))
            check_packed_compile(head_dim, mask, kv_layout, {8, 8, length, length});
}

TEST_CASE("few queries of long sequences compile without spills") {
  if (!has_nvrtc()) SKIP_TEST("no usable NVRTC");
  for (const int head_dim : {64, 128, 256})
    for (const Expr& mask : {causal(), streaming()})
      for (const SequenceLayout kv_layout : {SequenceLayout::packed, SequenceLayout::paged})
        check_packed_compile(head_dim, mask, kv_layout, {1, 8, 96, 32768});
}

TEST_CASE("head dims and scores of the backward pass compile without spills") {
  if (!has_nvrtc()) SKIP_TEST("no usable NVRTC");
  struct Case {
    Problem problem;
    Binary binary;
  };
  std::vector<Case> cases;
  // Neighbours of the goldens, every other one with a score.
  for (const int head_dim : {24, 48, 56, 72, 104, 112, 120, 144, 160, 184, 208, 224, 240}) {
    Problem problem{.dtype = DType::f16, .head_dim = head_dim, .mask = causal()};
    if (cases.size() % 2 != 0) problem.score = softcap(scalar("cap", DType::f32));
    cases.push_back({problem, {}});
  }
  const Target& target = find_target("sm_90a");
  llvm::parallelFor(0, cases.size(), [&](std::size_t i) {
    Case& c = cases[i];
    const Schedule schedule = choose(Operation::backward, c.problem, {}, target).schedule;
    c.binary = compile(emit(Operation::backward, c.problem, schedule, target)[1]);
  });
  for (const Case& c : cases) {
    INFO(c.problem.describe());
    for (const std::string& advisory : c.binary.advisories) FAIL_CHECK(advisory);
    CHECK(c.binary.resources.spill_store_bytes == 0);
    CHECK(c.binary.resources.stack_bytes == 0);
  }
}

TEST_CASE("what a Spec lacks is the first line of NVRTC's log") {
  if (!has_nvrtc()) SKIP_TEST("no usable NVRTC");
  const Source flash = golden_files().back().source;
  const Source combine = split_golden_cases().front().program().back();
  const struct {
    const Source& source;
    const char *from, *to, *complaint;
  } mistakes[] = {
      {flash, "  using Element = streamattn::bf16;\n", "", "Spec needs a type Element and"},
      {flash, "int group_size = 1;", "bool group_size = true;", "Spec needs a type Element and"},
      {flash, "using Score = streamattn::ProblemScore;", "using Score = int;",
       "Spec needs a type Score that is a score policy"},
      {flash, ".tile_q = 128", ".tile_q = 126", "Spec needs a FlashTiling tiling with 64 rows"},
      {flash, "bool ping_pong = true,", "bool ping_pog = true,", "Spec needs bools ping_pong, "},
      {combine, "using Output", "using Outputs", "Spec needs a type Output and"}};
  for (const auto& mistake : mistakes) {
    Source source = mistake.source;
    const std::size_t at = source.flat.find(mistake.from);
    REQUIRE(at != std::string::npos);
    source.flat.replace(at, std::string(mistake.from).size(), mistake.to);
    const std::string error = error_of([&] { compile(source); });
    INFO(error);
    // The first line is the compiler's "refused the source".
    const std::string first = error.substr(error.find('\n') + 1);
    CHECK_THAT(first.substr(0, first.find('\n')),
               contains_text("static assertion failed with \"" + std::string(mistake.complaint)));
  }
}
