// Planting faults.
#include "tests/emulated/emulated_case.h"

#include "compiler/embedded.h"
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

GoldenCase golden_case(const std::string& name) {
  for (GoldenCase& golden : golden_cases())
    if (golden.name == name) return golden;
  throw Error(ErrorCode::invalid_argument, "there is no golden case " + name);
}

std::string report_of(const GoldenCase& golden, const Fault& fault, const Shape& shape,
                      std::uint64_t seed) {
  const std::string text = faulty_text(fault);
  const EmbeddedFile instead[] = {{fault.file, text}};
  const EmulatedKernel kernel(golden.problem, {golden.schedule, "golden"}, golden.source(),
                              instead);
  const ForwardTensors tensors({.problem = golden.problem, .shape = shape});
  const ForwardArgs args = tensors.args();
  try {
    kernel.emulate(args, {.seed = seed});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::launch_failed) throw;
    return error.what();
  }
  const Errors errors = errors_of(golden.problem, args, all_rows(args));
  return errors.o <= errors.o_allowed && errors.lse <= errors.lse_allowed ? "nothing"
                                                                          : "wrong result";
}

}  // namespace streamattn
