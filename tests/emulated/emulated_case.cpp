// Planting faults.
#include "tests/emulated/emulated_case.h"

#include <algorithm>
#include <span>

#include "compiler/embedded.h"
#include "compiler/expr/names.h"
#include "measure/backward_operands.h"
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

BackwardTensors EmulatedBackward::emulate(
    const BackwardCase& given, const Emulation& how,
    const std::function<void(BackwardTensors&)>& change) const {
  const Target& target = find_target("sm_90a");
  const BackwardKernel kernel(
      {golden_.operation, golden_.problem, {golden_.schedule, "golden"}, target},
      std::make_unique<EmulatedExecutor>(golden_.problem, golden_.schedule, target, program_, how));
  BackwardTensors tensors(given);
  compute_outputs(given, tensors);
  if (change) change(tensors);
  run_once(kernel, tensors, *cpu_workbench());
  return tensors;
}

bool same_gradients(BackwardTensors& a, BackwardTensors& b) {
  const auto same = [](HostTensor& x, HostTensor& y) {
    return std::ranges::equal(x.bytes(), y.bytes());
  };
  const auto same_elements = [](const BackwardTensors::Elements& x,
                                const BackwardTensors::Elements& y) {
    return std::ranges::equal(std::as_bytes(std::span(x.values)),
                              std::as_bytes(std::span(y.values)));
  };
  return same(a.d_q, b.d_q) && same(a.d_k, b.d_k) && same(a.d_v, b.d_v) &&
         std::ranges::equal(a.elements, b.elements, same_elements);
}

void check_gradients(const BackwardCase& given, const BackwardTensors& tensors) {
  const BackwardAccuracy accuracy = check_backward(given, tensors, Arithmetic::float32, 1e18);
  CHECK(accuracy.untouched);
  for (const auto& [name, error, plain, allowed] : accuracy.errors) {
    CAPTURE(name, plain);
    CHECK(error <= allowed);
  }
}

ForwardCase forward_call_of(const GoldenCase& golden, const Shape& shape, std::uint64_t seed) {
  ForwardCase given{.problem = golden.problem,
                    .shape = shape,
                    .seed = seed,
                    .dropout = golden.dropout(),
                    .scalars = golden.scalars,
                    .tensors = golden.tensors};
  if (!ExprNames(golden.problem).tensors.empty())
    given.q_offset = std::max<std::int64_t>(0, shape.kv_len - shape.q_len);
  return given;
}

BackwardCase backward_call_of(const GoldenCase& golden, const Shape& shape, std::uint64_t seed) {
  return {.forward = forward_call_of(golden, shape, seed)};
}

GoldenCase golden_case(const std::string& name) {
  for (const auto& cases : {backward_golden_cases(), append_golden_cases(), merge_golden_cases()})
    for (const GoldenCase& golden : cases)
      if (golden.name == name) return golden;
  for (GoldenCase& golden : golden_cases())
    if (golden.name == name) return golden;
  throw Error(ErrorCode::invalid_argument, "there is no golden case " + name);
}

std::string report_of(const GoldenCase& golden, const BackwardCase& given, const Fault& fault,
                      const Emulation& how, const std::function<void(BackwardTensors&)>& change) {
  const std::string text = faulty_text(fault);
  const EmbeddedFile instead[] = {{fault.file, text}};
  try {
    const BackwardTensors tensors = EmulatedBackward(golden, instead).emulate(given, how, change);
    const bool ok = check_backward(given, tensors, Arithmetic::float32, 1e18).ok();
    return ok ? "nothing" : "wrong result";
  } catch (const Error& error) {
    if (error.code() != ErrorCode::launch_failed) throw;
    return error.what();
  }
}

std::string report_of(const GoldenCase& golden, const Fault& fault, const Shape& shape,
                      std::uint64_t seed, std::optional<float> scale) {
  if (golden.operation == Operation::backward) {
    const BackwardCase given{.forward = {.problem = golden.problem,
                                         .shape = shape,
                                         .scale = scale,
                                         .dropout = golden.dropout(),
                                         .scalars = golden.scalars,
                                         .tensors = golden.tensors}};
    return report_of(golden, given, fault, {.seed = seed, .slice_seconds = 0.2});
  }
  const std::string text = faulty_text(fault);
  const EmbeddedFile instead[] = {{fault.file, text}};
  const EmulatedKernel kernel(golden.problem, {golden.schedule, "golden"}, golden.program(),
                              instead);
  const ForwardTensors tensors({.problem = golden.problem,
                                .shape = shape,
                                .dropout = golden.dropout(),
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
    CHECK(report != "nothing");
    CHECK_THAT(report, contains_text(planted.cause));
  }
}

}  // namespace streamattn
