// `streamattn run`: the main job, checked and timed.
#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include "measure/accuracy.h"
#include "measure/gemm_rate.h"
#include "measure/operands.h"
#include "streamattn/error.h"
#include "streamattn/jit.h"
#include "support/progress.h"
#include "tools/call_json.h"
#include "tools/emulate.h"
#include "tools/flops.h"
#include "tools/table.h"
#include "tools/tool.h"

namespace streamattn {
namespace {

struct Options {
  ProblemFlags problem;
  ScheduleFlags schedule;
  EmulateFlags emulation;
  Distribution distribution = Distribution::normal;
  std::uint64_t seed = 1;
  bool json = false;

  ForwardCase call() const {
    ForwardCase call = problem.call();
    call.distribution = distribution;
    call.seed = seed;
    require_scalars(call);
    return call;
  }
};

/// Everything there is to say about one run.
struct Report {
  ForwardCase call;
  std::string device, kernel;
  Accuracy accuracy;
  std::optional<Timing> timing;  // emulated: none
  Count flops;
  std::optional<GemmRate> gemm;

  double tflops() const { return streamattn::tflops(flops.number, timing->milliseconds); }
};

const ForwardKernel& find_kernel(const Jit& jit, const ForwardCase& call,
                                 const ScheduleFlags& flags) {
  if (flags.overrides.empty()) return jit.forward(call.problem, call.shape);
  return jit.forward(call.problem, overridden_schedule(call, jit.target(), flags.pin_rows(),
                                                       flags.only_override()));
}

Report run(const Options& options) {
  Progress progress("run", 4);
  progress.update(0, "kernel");
  Report report{.call = options.call()};
  const ForwardCase& call = report.call;
  const Jit jit =
      Jit::create({.target = options.schedule.target, .pins = options.schedule.pin_rows()});
  const ForwardKernel& kernel = find_kernel(jit, call, options.schedule);
  report.kernel = kernel.describe();

  progress.update(1, "inputs");
  const auto bench = workbench_for(jit.device());
  report.device = bench->name();
  ForwardTensors tensors(call);
  const Operands operands(tensors, *bench);
  const Enqueue launch = operands.launch_of(kernel);
  bench->run(launch);
  operands.download_outputs(tensors);
  progress.update(2, "float64 reference");
  const Arithmetic arithmetic = jit.target().is_cpu() ? Arithmetic::float32 : Arithmetic::gpu;
  report.accuracy = check_accuracy(call, tensors, arithmetic);

  progress.update(3, "timing");
  const Stopwatch stopwatch = [&](int runs) { return bench->time(launch, runs); };
  report.timing =
      time_interleaved({stopwatch}, {.rounds = 3}, bench->overhead_milliseconds(), [] {}).front();
  report.flops = forward_flops(call);
  if (!jit.target().is_cpu()) report.gemm = bf16_gemm_rate(*bench);
  return report;
}

Report run_on_emulator(const Options& options) {
  Progress progress("run", 2);
  progress.update(0, "emulation");
  Report report{.call = options.call(), .device = "emulated"};
  ForwardTensors tensors(report.call);
  report.kernel = run_emulated(report.call, options.schedule, options.emulation.trace, tensors);
  progress.update(1, "float64 reference");
  report.accuracy = check_accuracy(report.call, tensors, Arithmetic::float32);
  return report;
}

void print_speed(const Report& report, llvm::raw_ostream& out) {
  out << llvm::formatv("time     {0:f4} ms median, {1:f1} % spread\n", report.timing->milliseconds,
                       100 * report.timing->spread);
  out << llvm::formatv("speed    {0} TFLOP/s", tflops_text(report.tflops()));
  if (report.gemm) {
    out << llvm::formatv(", {0:f2} of the card's bf16 GEMM rate of {1:f0} ({2})",
                         report.tflops() / report.gemm->tflops, report.gemm->tflops,
                         report.gemm->origin);
  }
  if (report.flops.is_estimate) out << ", by visible pairs on a sample of rows";
  out << "\n";
}

/// "window = 512, slope = slopes", what was said of names.
std::string named(const ForwardCase& call) {
  std::vector<std::string> parts;
  for (const NamedNumber& scalar : call.scalars) parts.push_back(describe(scalar));
  for (const NamedInput& tensor : call.tensors) parts.push_back(describe(tensor));
  return llvm::join(parts, ", ");
}

void print(const Report& report, llvm::raw_ostream& out) {
  const ForwardCase& call = report.call;
  const Accuracy& accuracy = report.accuracy;
  const Errors& errors = accuracy.errors;
  out << llvm::formatv("problem  {0}\n", call.problem.describe());
  out << llvm::formatv("shape    batch {0}, heads {1}, kv_heads {2}, q_len {3}, kv_len {4}\n",
                       call.shape.batch, call.heads(), call.shape.kv_heads, call.shape.q_len,
                       call.shape.kv_len);
  if (const std::string text = named(call); !text.empty()) out << "names    " << text << "\n";
  out << llvm::formatv("device   {0}\n", report.device);
  out << llvm::formatv("checked  {0} of {1} rows against float64\n", accuracy.checked_rows,
                       accuracy.rows);
  out << llvm::formatv("error    {0:e2} relative L2; plain {1} attention has {2:e2}\n", errors.o,
                       name(call.problem.dtype), errors.plain_o);
  out << llvm::formatv("LSE      {0:e2} largest error; plain attention has {1:e2}\n", errors.lse,
                       errors.plain_lse);
  if (report.timing) print_speed(report, out);
  out << "\n" << llvm::StringRef(report.kernel).rtrim() << "\n\n";
  if (accuracy.ok()) {
    out << "ok\n";
  } else if (accuracy.nan_rows > 0) {
    out << "WRONG: " << accuracy.nan_rows << " rows have a NaN or were not written\n";
  } else if (!accuracy.untouched) {
    out << "WRONG: memory beside the rows was written\n";
  } else {
    out << "WRONG: an error is more than twice that of plain attention\n";
  }
}

llvm::json::Object to_json(const Report& report) {
  const Accuracy& accuracy = report.accuracy;
  const Errors& errors = accuracy.errors;
  llvm::json::Object json{{"version", llvm::StringRef(version())},
                          {"device", report.device},
                          {"problem", to_json(report.call)},
                          {"kernel", report.kernel},
                          {"ok", accuracy.ok()},
                          {"rows", accuracy.rows},
                          {"checked_rows", accuracy.checked_rows},
                          {"nan_rows", accuracy.nan_rows},
                          {"error", finite_or_null(errors.o)},
                          {"plain_error", errors.plain_o},
                          {"lse_error", finite_or_null(errors.lse)},
                          {"plain_lse_error", errors.plain_lse}};
  if (report.timing) json["timing"] = to_json(*report.timing, report.flops.number);
  if (report.flops.is_estimate) json["flops_estimated"] = true;
  if (report.gemm) {
    json["gemm"] = llvm::json::Object{{"tflops", report.gemm->tflops},
                                      {"origin", report.gemm->origin},
                                      {"fraction", report.tflops() / report.gemm->tflops}};
  }
  return json;
}

}  // namespace

Exit run_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  Options options;
  Flags flags("run [flags]",
              "Runs one problem on random inputs, checks the result against float64 and times it.\n"
              "Exits with 1 when an error is more than twice that of plain attention.");
  options.problem.add_to(flags);
  options.problem.add_launch_to(flags);
  options.schedule.add_to(flags);
  options.emulation.add_to(flags);
  flags.section("inputs and output");
  flags.add("seed", "N", "of the random inputs, and of the order of emulated warps (1)",
            options.seed);
  flags.add("dist", "normal|outliers", "outliers: 1 % of the entries x 30 (normal)",
            options.distribution);
  flags.add("json", "print JSON", options.json);
  if (!flags.parse(args, out)) return Exit::ok;
  if (options.emulation.trace && !options.emulation.emulate)
    throw Error(ErrorCode::invalid_config, "--trace needs --emulate");

  const Report report = options.emulation.emulate ? run_on_emulator(options) : run(options);
  if (options.json) {
    out << llvm::formatv("{0:2}\n", llvm::json::Value(to_json(report)));
  } else {
    print(report, out);
  }
  return report.accuracy.ok() ? Exit::ok : Exit::wrong;
}

}  // namespace streamattn
