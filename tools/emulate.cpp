// The emulator behind a flag.
#include "tools/emulate.h"

#include <fstream>

#include "streamattn/error.h"

#ifdef STREAMATTN_EMULATOR
#include "emulator/emulated_kernel.h"
#endif

namespace streamattn {

void EmulateFlags::add_to(Flags& flags) {
  flags.section("emulation");
  flags.add("emulate", "run the kernel of --target (sm_90a) on the CPU, its contracts enforced",
            emulate);
  flags.add("trace", "FILE", "write what every warp did to FILE, for a trace viewer", trace);
}

#ifdef STREAMATTN_EMULATOR

namespace {

void write_trace(const emulator::Trace& trace, const std::string& file) {
  std::ofstream out(file);
  out << trace.json();
  out.close();
  if (!out) throw Error(ErrorCode::invalid_config, "cannot write the trace to " + file);
}

// The kernel type that runs on tensors of a case.
template <class Tensors>
struct KernelOf;
template <>
struct KernelOf<ForwardTensors> {
  using Type = ForwardKernel;
};
template <>
struct KernelOf<BackwardTensors> {
  using Type = BackwardKernel;
};
template <>
struct KernelOf<AppendTensors> {
  using Type = AppendKernel;
};
template <>
struct KernelOf<MergeTensors> {
  using Type = MergeKernel;
};

}  // namespace

template <class Tensors>
std::string run_emulated(const ForwardCase& call, const ScheduleFlags& schedule,
                         const std::optional<std::string>& trace_file, Tensors& tensors) {
  const Target& target = find_target(schedule.target.value_or("sm_90a"));
  const Schedule chosen =
      overridden_schedule(call, target, schedule.pin_rows(), schedule.only_override());
  const auto program =
      std::make_shared<const EmulatedProgram>(emit(call.operation, call.problem, chosen, target));
  emulator::Trace trace;
  const Emulation how{.seed = call.seed, .trace = trace_file ? &trace : nullptr};
  const typename KernelOf<Tensors>::Type kernel(
      {call.operation, call.problem, {chosen, "as for a GPU"}, target},
      std::make_unique<EmulatedExecutor>(call.problem, chosen, target, program, how));
  run_once(kernel, tensors, *cpu_workbench());
  if (trace_file) write_trace(trace, *trace_file);
  return kernel.describe();
}

#else

template <class Tensors>
std::string run_emulated(const ForwardCase&, const ScheduleFlags&,
                         const std::optional<std::string>&, Tensors&) {
  throw Error(ErrorCode::invalid_config,
              "this build has no emulator; it needs Boost.Context (libboost-context-dev)");
}

#endif

template std::string run_emulated(const ForwardCase&, const ScheduleFlags&,
                                  const std::optional<std::string>&, ForwardTensors&);
template std::string run_emulated(const ForwardCase&, const ScheduleFlags&,
                                  const std::optional<std::string>&, BackwardTensors&);
template std::string run_emulated(const ForwardCase&, const ScheduleFlags&,
                                  const std::optional<std::string>&, AppendTensors&);
template std::string run_emulated(const ForwardCase&, const ScheduleFlags&,
                                  const std::optional<std::string>&, MergeTensors&);

}  // namespace streamattn
