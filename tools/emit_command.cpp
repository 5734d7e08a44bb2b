// `streamattn emit`: prints the CUDA source of a problem.
#include "streamattn/compiler.h"
#include "tools/problem_flags.h"
#include "tools/tool.h"

namespace streamattn {

Exit emit_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  ProblemFlags problem;
  ScheduleFlags schedule{.target = "sm_90a"};
  std::optional<std::string> template_dir;
  bool flatten = false;
  Flags flags("emit [flags]",
              "Prints the CUDA source that serves a problem. Needs no GPU. The target is sm_90a\n"
              "unless --target says otherwise.");
  problem.add_to(flags);
  schedule.add_to(flags);
  flags.section("output");
  flags.add("flatten", "print one file that needs no other", flatten);
  flags.add("template-dir", "DIR", "read device templates from here", template_dir);
  if (!flags.parse(args, out)) return Exit::ok;

  const ForwardCase call = problem.call();
  const Target& target = find_target(*schedule.target);
  const Schedule chosen =
      overridden_schedule(call, target, schedule.pin_rows(), schedule.only_override());
  const char* separator = "";
  for (const Source& source :
       emit(call.operation, call.problem, chosen, target, {.template_dir = template_dir})) {
    out << separator << (flatten ? source.flat : source.text);
    separator = "\n";
  }
  return Exit::ok;
}

}  // namespace streamattn
