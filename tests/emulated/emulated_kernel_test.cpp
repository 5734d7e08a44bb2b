// Launches, outputs, traces and the host compiler.
#include "emulator/emulated_kernel.h"

#include <llvm/Support/JSON.h>

#include <set>

#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;

namespace {

EmulatedKernel kernel_of(const GoldenCase& golden) {
  return {golden.problem, {golden.schedule, "golden"}, golden.program()};
}

ForwardCase small_case() {
  return {.problem = golden_case("flash_wgmma_bf16_d64_causal").problem, .shape = {1, 1, 70, 90}};
}

}  // namespace

TEST_CASE("the result does not depend on the order in which warps run or on the number of blocks") {
  const EmulatedKernel kernel = kernel_of(golden_case("flash_wgmma_bf16_d64_causal"));
  const ForwardTensors first(small_case()), second(small_case());
  kernel.emulate(first.args(), {.seed = 1, .multiprocessors = 1});
  kernel.emulate(second.args(), {.seed = 99, .multiprocessors = 3});
  const auto rows = all_rows(first.args());
  CHECK(read_rows(first.args(), rows).o == read_rows(second.args(), rows).o);
}

TEST_CASE("arguments are checked as for a GPU") {
  const EmulatedKernel kernel = kernel_of(golden_case("flash_wgmma_bf16_d64_causal"));
  const ForwardTensors tensors(small_case());
  ForwardArgs args = tensors.args();
  args.q.data = static_cast<char*>(args.q.data) + 2;
  CHECK_THAT(error_of([&] { kernel.launch(args); }), contains_text("invalid_argument: q"));
}

TEST_CASE("a trace has the waits, products and loads of every warp") {
  const EmulatedKernel kernel = kernel_of(golden_case("flash_wgmma_bf16_d128_causal_exact"));
  const ForwardCase given{.problem = kernel.problem(), .shape = {1, 1, 200, 200}};
  const ForwardTensors tensors(given);
  emulator::Trace trace;
  kernel.emulate(tensors.args(), {.trace = &trace});
  auto json = llvm::json::parse(trace.json());
  REQUIRE(static_cast<bool>(json));
  std::set<std::string> names;
  std::set<std::int64_t> rows;
  for (const llvm::json::Value& event : *json->getAsObject()->getArray("traceEvents")) {
    names.insert(event.getAsObject()->getString("name")->str());
    rows.insert(*event.getAsObject()->getInteger("tid"));
  }
  CHECK(names == std::set<std::string>{"process_name", "thread_name", "mbarrier wait",
                                       "named barrier", "wgmma group", "wgmma wait", "TMA load",
                                       "TMA load arrives", "TMA store"});
  // TMA, the loading warp, and eight math warps; the rest of the producer warpgroup exits.
  CHECK(rows.size() >= 10);
}

TEST_CASE("a host compiler that is missing or refuses the source is named") {
  const GoldenCase golden = golden_case("flash_wgmma_bf16_d64_causal");
  {
    const ScopedVariable compiler("STREAMATTN_HOST_CXX", "/bin/false");
    CHECK_THAT(error_of([&] { kernel_of(golden); }),
               contains_text("compile_failed: /bin/false refused the emitted source"));
  }
  {
    const ScopedVariable compiler("STREAMATTN_HOST_CXX", "no-such-compiler");
    CHECK_THAT(error_of([&] { kernel_of(golden); }),
               contains_text(
                   "compile_failed: STREAMATTN_HOST_CXX is no-such-compiler, which is no program"));
  }
  {
    const ScopedVariable path("PATH", "/nonexistent");
    CHECK_THAT(error_of([&] { kernel_of(golden); }),
               contains_text("compile_failed: no host compiler to emulate with"));
  }
  Source wrong = golden.source();
  wrong.text += "\nint x = no_such_name;\n";
  CHECK_THAT(error_of([&] { EmulatedKernel(golden.problem, {golden.schedule, ""}, {wrong}); }),
             contains_text("no_such_name"));
  Source other = golden.source();
  other.entry = "another_entry";
  CHECK_THAT(error_of([&] { EmulatedKernel(golden.problem, {golden.schedule, ""}, {other}); }),
             contains_text("another_entry"));
}

TEST_CASE("source that is no library is refused when it is loaded") {
  GoldenCase golden = golden_case("flash_wgmma_bf16_d64_causal");
  Source source = golden.source();
  source.text =
      "#include \"ptx/types.cuh\"\n"
      "extern \"C\" void nobody_has_this();\n"
      "extern \"C\" __global__ void streamattn_forward(int) { nobody_has_this(); }\n";
  CHECK_THAT(error_of([&] { EmulatedKernel(golden.problem, {golden.schedule, ""}, {source}); }),
             contains_text("load_failed"));
}
