// Planting faults.
#include "tests/emulated/emulated_case.h"

#include "compiler/embedded.h"
#include "measure/operands.h"
#include "streamattn/error.h"
#include "tests/support/catch.h"

namespace streamattn {

std::string faulty_text(const Fault& fault) {
  for (const EmbeddedFile& file : embedded_templates()) {
    if (file.name != fault.file) continue;
    std::string text(file.text);
    const std::string from = fault.from, to = fault.to;
    std::size_t found = text.find(from);
    if (found == std::string::npos)
      FAIL(fault.file << " no longer has the text that this fault replaces: " << from);
    for (; found != std::string::npos; found = text.find(from, found + to.size()))
      text.replace(found, from.size(), to);
    return text;
  }
  FAIL("there is no template " << fault.file);
  return "";
}

void EmulatedKernel::emulate(const ForwardArgs& args, const Emulation& how) const {
  const Target& target = find_target("sm_90a");
  const ForwardKernel kernel(
      {Operation::forward, problem_, choice_, target},
      std::make_unique<EmulatedExecutor>(problem_, choice_.schedule, target, program_, how));
  with_workspace(kernel, args, *cpu_workbench())(nullptr);
}

EmulatedKernel EmulatedKernel::with(const std::string& knobs) const {
  EmulatedKernel changed = *this;
  changed.choice_.schedule = parse_schedule(knobs, choice_.schedule);
  return changed;
}

GoldenCase golden_case(const std::string& name) {
  for (GoldenCase& golden : golden_cases())
    if (golden.name == name) return golden;
  throw Error(ErrorCode::invalid_argument, "there is no golden case " + name);
}

std::string report_of(const GoldenCase& golden, const Fault& fault, const Shape& shape,
                      std::uint64_t seed, std::optional<float> scale) {
  const std::string text = faulty_text(fault);
  const EmbeddedFile instead[] = {{fault.file, text}};
  const EmulatedKernel kernel(golden.problem, {golden.schedule, "golden"}, golden.program(),
                              instead);
  const ForwardTensors tensors({.problem = golden.problem,
                                .shape = shape,
                                .scalars = golden.scalars,
                                .tensors = golden.tensors});
  ForwardArgs args = tensors.args();
  args.scale = scale;
  try {
    kernel.emulate(args, {.seed = seed, .slice_seconds = 0.2});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::launch_failed) throw;
    return error.what();
  }
  const Errors errors = errors_of(golden.problem, args, all_rows(args));
  return errors.ok() ? "nothing" : "wrong result";
}

void check_caught(const std::vector<PlantedFault>& faults) {
  for (const PlantedFault& planted : faults) {
    INFO(planted.what);
    GoldenCase golden = golden_case(planted.kernel);
    golden.schedule = parse_schedule(planted.schedule, golden.schedule);
    const std::string report =
        report_of(golden, planted.fault, planted.shape, /*seed=*/1, planted.scale);
    CHECK_THAT(report, contains_text(planted.cause));
  }
}

}  // namespace streamattn
