// Launches, outputs, traces and the host compiler.
#include "emulator/emulated_kernel.h"

#include <llvm/Support/JSON.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <set>

#include "emulator/mapping.h"
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
  Source wrong = golden.program().front();
  wrong.text += "\nint x = no_such_name;\n";
  CHECK_THAT(error_of([&] { EmulatedKernel(golden.problem, {golden.schedule, ""}, {wrong}); }),
             contains_text("no_such_name"));
  Source other = golden.program().front();
  other.entry = "another_entry";
  CHECK_THAT(error_of([&] { EmulatedKernel(golden.problem, {golden.schedule, ""}, {other}); }),
             contains_text("another_entry"));
}

TEST_CASE("source that is no library is refused when it is loaded") {
  GoldenCase golden = golden_case("flash_wgmma_bf16_d64_causal");
  Source source = golden.program().front();
  source.text =
      "#include \"ptx/types.cuh\"\n"
      "extern \"C\" void nobody_has_this();\n"
      "extern \"C\" __global__ void streamattn_forward(int) { nobody_has_this(); }\n";
  CHECK_THAT(error_of([&] { EmulatedKernel(golden.problem, {golden.schedule, ""}, {source}); }),
             contains_text("load_failed"));
}

TEST_CASE("a host compiler may be a command of several words") {
  const ScopedVariable compiler("STREAMATTN_HOST_CXX", "c++ -O0");
  const EmulatedKernel kernel = kernel_of(golden_case("flash_wgmma_bf16_d64_causal"));
  const ForwardTensors tensors(small_case());
  kernel.launch(tensors.args());
  check_result(kernel.problem(), tensors.args(), tensors);
}

TEST_CASE("a temporary folder that is missing is named, and what was left there is swept") {
  const GoldenCase golden = golden_case("flash_wgmma_bf16_d64_causal");
  {
    const ScopedVariable folder("TMPDIR", "/nonexistent");
    CHECK_THAT(error_of([&] { kernel_of(golden); }),
               contains_text("compile_failed: no temporary folder to compile in: TMPDIR is "
                             "/nonexistent"));
  }
  const ScratchFolder scratch;
  const auto old = scratch.path() / "streamattn-emulated-killed",
             young = scratch.path() / "streamattn-emulated-running";
  for (const auto& folder : {old, young}) std::filesystem::create_directory(folder);
  std::filesystem::last_write_time(
      old, std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  const ScopedVariable folder("TMPDIR", scratch.path().string());
  kernel_of(golden);
  CHECK(!std::filesystem::exists(old));
  CHECK(std::filesystem::exists(young));
}

TEST_CASE("a kernel is launched as its text says") {
  const GoldenCase golden = golden_case("flash_wgmma_bf16_d64_causal");
  auto refusal = [&](const std::function<void(Source&)>& change) {
    Source source = golden.program().front();
    change(source);
    return error_of([&] { EmulatedKernel(golden.problem, {golden.schedule, ""}, {source}); });
  };
  auto with_bounds = [](Source& source, const std::string& bounds) {
    const auto at = source.text.find("__launch_bounds__(");
    source.text.replace(at, source.text.find(')', at) + 1 - at, bounds);
  };
  CHECK_THAT(refusal([&](Source& s) { with_bounds(s, "__launch_bounds__(256)"); }),
             contains_text("load_failed: streamattn_forward is launched with 512 threads, its "
                           "__launch_bounds__ allow 256"));
  CHECK_THAT(refusal([](Source& s) { s.parameter_bytes -= 8; }),
             contains_text("bytes of parameters, this library passes"));
  CHECK_THAT(
      refusal([](Source& s) { s.text += "\n__device__ void f() {\n  __shared__ int x[4];\n}\n"; }),
      contains_text("compile_failed: \"__shared__ int x[4]\": static shared memory"));
}

TEST_CASE("launch bounds for two blocks leave setmaxnreg too few registers") {
  const GoldenCase golden = golden_case("flash_wgmma_bf16_d128_causal_two_warpgroups");
  Source source = golden.program().front();
  const std::string bounds = "__launch_bounds__(384, 1)";
  source.text.replace(source.text.find(bounds), bounds.size(), "__launch_bounds__(384, 2)");
  const EmulatedKernel kernel(golden.problem, {golden.schedule, ""}, {source});
  const ForwardTensors tensors({.problem = golden.problem, .shape = {1, 1, 70, 90}});
  CHECK_THAT(error_of([&] { kernel.launch(tensors.args()); }),
             contains_text("waits for 232 registers a thread"));
}

namespace {

/// What is said of outputs whose batch entries are more than 2^31 elements apart, computed by a
/// kernel with this text in the place of a template: "nothing" if all is well.
std::string far_report(const char* file, const std::string& text) {
  const GoldenCase golden = golden_case("flash_wgmma_bf16_f32_d128");
  const EmbeddedFile instead[] = {{file, text}};
  const EmulatedKernel kernel(golden.problem, {golden.schedule, "golden"}, golden.program(),
                              instead);
  const ForwardTensors tensors({.problem = golden.problem, .shape = {2, 1, 5, 9}});
  ForwardArgs args = tensors.args();
  constexpr std::int64_t stride = (std::int64_t{1} << 31) + 4096;
  const emulator::Mapping o(4 * (stride + 4096), emulator::Mapping::Access::read_write),
      lse(4 * (stride + 4096), emulator::Mapping::Access::read_write);
  args.o.data = o.data(), args.o.batch_stride = stride;
  args.lse.data = lse.data(), args.lse.batch_stride = stride;
  std::string report = error_of([&] { kernel.launch(args); });
  const Errors errors = errors_of(golden.problem, args, all_rows(args));
  if (report == "nothing" && !errors.ok()) report = "wrong result";
  return report;
}

}  // namespace

TEST_CASE("outputs may reach over more than 2^31 elements, and an offset of 32 bits is named") {
  const char* output = "forward/flash_epilogue.cuh";
  auto narrowed = [&](const char* offset) {
    return far_report(output,
                      faulty_text({output, offset, (std::string("int(") + offset + ")").c_str()}));
  };
  CHECK(far_report(output, faulty_text({output, "namespace", "namespace"})) == "nothing");
  CHECK_THAT(narrowed("q_entry_of<Spec>(item) * strides.batch"),
             contains_text("address"));  // in no tensor, or in front of lse
}
