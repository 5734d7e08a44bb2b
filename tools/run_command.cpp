// `streamattn run`: the main job, checked and timed.
#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include <variant>

#include "measure/append_operands.h"
#include "measure/backward_operands.h"
#include "measure/gemm_rate.h"
#include "streamattn/error.h"
#include "streamattn/jit.h"
#include "support/progress.h"
#include "tools/accuracy_report.h"
#include "tools/call_json.h"
#include "tools/emulate.h"
#include "tools/flops.h"
#include "tools/move_flags.h"
#include "tools/table.h"
#include "tools/tool.h"

namespace streamattn {
namespace {

struct Options {
  ProblemFlags problem;
  ScheduleFlags schedule;
  EmulateFlags emulation;
  MoveFlags moves;
  Distribution distribution = Distribution::normal;
  std::uint64_t seed = 1;
  std::optional<DType> gradient_dtype;
  bool accumulate = false;
  bool json = false;

  ForwardCase call() const {
    ForwardCase call = problem.call();
    call.distribution = distribution;
    call.seed = call.dropout.seed = seed;
    require_scalars(call);
    return call;
  }

  /// Throws Error (invalid_config) for flags of another operation.
  void require_fit() const {
    const Operation operation = problem.call().operation;
    if ((gradient_dtype || accumulate) && operation != Operation::backward)
      throw Error(ErrorCode::invalid_config, "--grad-dtype and --accumulate need --op backward");
    moves.require_fit(operation);
  }

  BackwardCase backward() const {
    return {.forward = call(), .gradient_dtype = gradient_dtype, .accumulate = accumulate};
  }
};

/// Everything there is to say about one run.
struct Report {
  ForwardCase call;
  std::string device, kernel;
  std::variant<Accuracy, BackwardAccuracy, AppendAccuracy, MergeAccuracy> accuracy;
  std::optional<Timing> timing;  // emulated: none
  Count flops;
  double bytes = 0;  // of operations that move rows
  std::optional<GemmRate> gemm;

  double tflops() const { return streamattn::tflops(flops.number, timing->milliseconds); }
  bool ok() const {
    return std::visit([](const auto& found) { return found.ok(); }, accuracy);
  }
};

/// The kernel that `get` gives for a problem and a shape, or a problem and a schedule.
template <class Get>
const auto& find_kernel(const Jit& jit, const ForwardCase& call, const ScheduleFlags& flags,
                        const Get& get) {
  if (flags.overrides.empty()) return get(call.shape);
  return get(overridden_schedule(call, jit.target(), flags.pin_rows(), flags.only_override()));
}

AppendAccuracy accuracy_of(const Problem& problem, const AppendTensors& tensors) {
  return check_append_result(problem, tensors);
}
MergeAccuracy accuracy_of(const Problem&, const MergeTensors& tensors) {
  return check_merge_result(tensors);
}

/// One run on a device, step by step.
class Run {
 public:
  Run(const Options& options, Report& report)
      : options_(options),
        report_(report),
        jit_(Jit::create({.target = options.schedule.target, .pins = options.schedule.pin_rows()})),
        bench_(workbench_for(jit_.device())) {
    report.device = bench_->name();
  }

  void forward() {
    progress_.update(0, "kernel");
    const ForwardCase& call = report_.call;
    const auto& kernel = find_kernel(
        jit_, call, options_.schedule,
        [&](const auto& by) -> const ForwardKernel& { return jit_.forward(call.problem, by); });
    report_.kernel = kernel.describe();
    progress_.update(1, "inputs");
    ForwardTensors tensors(call);
    const Operands operands(tensors, *bench_);
    const Enqueue launch = operands.launch_of(kernel);
    bench_->run(launch);
    operands.download_outputs(tensors);
    progress_.update(2, "float64 reference");
    report_.accuracy = check_accuracy(call, tensors, arithmetic());
    time(launch);
  }

  /// The forward pass is run first: its o and lse are inputs.
  void backward() {
    progress_.update(0, "kernels");
    const BackwardCase given = options_.backward();
    const ForwardCase& call = report_.call;
    const auto& kernel = find_kernel(
        jit_, call, options_.schedule,
        [&](const auto& by) -> const BackwardKernel& { return jit_.backward(call.problem, by); });
    report_.kernel = kernel.describe();
    progress_.update(1, "inputs");
    BackwardTensors tensors(given);
    run_once(jit_.forward(call.problem, call.shape), tensors.forward, *bench_);
    run_once(kernel, tensors, *bench_);
    progress_.update(2, "float64 reference");
    // Gradients of a wrong o may be what they should be of it: then the report is that of o.
    report_.accuracy = check_accuracy(call, tensors.forward, arithmetic());
    if (std::get<Accuracy>(report_.accuracy).ok())
      report_.accuracy = check_backward(given, tensors, arithmetic());
    time(BackwardOperands(tensors, *bench_).launch_of(kernel));
  }

  void append() {
    progress_.update(0, "kernel");
    const ForwardCase& call = report_.call;
    const auto& kernel = find_kernel(
        jit_, call, options_.schedule,
        [&](const auto& by) -> const AppendKernel& { return jit_.append(call.problem, by); });
    const AppendCase given = options_.moves.append(call);
    run_moves<AppendTensors, AppendOperands>(kernel, given);
  }

  void merge() {
    progress_.update(0, "kernel");
    const ForwardCase& call = report_.call;
    const auto& kernel = find_kernel(
        jit_, call, options_.schedule,
        [&](const auto& by) -> const MergeKernel& { return jit_.merge(call.problem, by); });
    run_moves<MergeTensors, MergeOperands>(kernel, options_.moves.merge(call));
  }

 private:
  /// Of an operation that moves rows.
  template <class Tensors, class SomeOperands, class KernelType, class Case>
  void run_moves(const KernelType& kernel, const Case& given) {
    report_.kernel = kernel.describe();
    report_.bytes = moved_bytes(given);
    progress_.update(1, "inputs");
    Tensors tensors(given);
    const SomeOperands operands(tensors, *bench_);
    const Enqueue launch = operands.launch_of(kernel);
    bench_->run(launch);
    operands.download_outputs(tensors);
    progress_.update(2, "float64 reference");
    report_.accuracy = accuracy_of(report_.call.problem, tensors);
    time(launch);
  }

  Arithmetic arithmetic() const {
    return jit_.target().is_cpu() ? Arithmetic::float32 : Arithmetic::gpu;
  }

  void time(const Enqueue& launch) {
    progress_.update(3, "timing");
    const Stopwatch stopwatch = [&](int runs) { return bench_->time(launch, runs); };
    report_.timing =
        time_interleaved({stopwatch}, {.rounds = 3}, bench_->overhead_milliseconds(), [] {
        }).front();
    report_.flops = flops(report_.call);
    if (!jit_.target().is_cpu() && report_.bytes == 0) report_.gemm = bf16_gemm_rate(*bench_);
  }

  const Options& options_;
  Report& report_;
  Progress progress_{"run", 4};
  Jit jit_;
  std::unique_ptr<Workbench> bench_;
};

Report run(const Options& options) {
  Report report{.call = options.call()};
  Run run(options, report);
  switch (report.call.operation) {
    case Operation::forward:
      run.forward();
      break;
    case Operation::backward:
      run.backward();
      break;
    case Operation::append:
      run.append();
      break;
    case Operation::merge:
      run.merge();
      break;
  }
  return report;
}

Report run_on_emulator(const Options& options) {
  Progress progress("run", 2);
  progress.update(0, "emulation");
  Report report{.call = options.call(), .device = "emulated"};
  const auto emulate = [&](auto& tensors) {
    report.kernel = run_emulated(report.call, options.schedule, options.emulation.trace, tensors);
    progress.update(1, "float64 reference");
  };
  const auto run_moves = [&](auto&& tensors) {
    emulate(tensors);
    report.accuracy = accuracy_of(report.call.problem, tensors);
  };
  switch (report.call.operation) {
    case Operation::forward: {
      ForwardTensors tensors(report.call);
      emulate(tensors);
      report.accuracy = check_accuracy(report.call, tensors, Arithmetic::gpu);
      break;
    }
    case Operation::backward: {
      BackwardTensors tensors(options.backward());
      compute_outputs(options.backward(), tensors);
      emulate(tensors);
      report.accuracy = check_backward(options.backward(), tensors, Arithmetic::gpu);
      break;
    }
    case Operation::append:
      run_moves(AppendTensors(options.moves.append(report.call)));
      break;
    case Operation::merge:
      run_moves(MergeTensors(options.moves.merge(report.call)));
      break;
  }
  return report;
}

void print_speed(const Report& report, llvm::raw_ostream& out) {
  out << llvm::formatv("time     {0:f4} ms median, {1:f1} % spread\n", report.timing->milliseconds,
                       100 * report.timing->spread);
  if (report.bytes > 0) {
    out << llvm::formatv("speed    {0:f1} GB/s\n",
                         gigabytes_per_second(report.bytes, report.timing->milliseconds));
    return;
  }
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
  out << llvm::formatv("problem  {0}\n", call.problem.describe());
  out << llvm::formatv("shape    batch {0}, heads {1}, kv_heads {2}, q_len {3}, kv_len {4}\n",
                       call.shape.batch, call.heads(), call.shape.kv_heads, call.shape.q_len,
                       call.shape.kv_len);
  if (const std::string text = named(call); !text.empty()) out << "names    " << text << "\n";
  out << llvm::formatv("device   {0}\n", report.device);
  std::visit([&](const auto& found) { print(found, call.problem.dtype, out); }, report.accuracy);
  if (report.timing) print_speed(report, out);
  out << "\n" << llvm::StringRef(report.kernel).rtrim() << "\n\n";
  out << std::visit([](const auto& found) { return verdict(found); }, report.accuracy) << "\n";
}

llvm::json::Object to_json(const Report& report) {
  llvm::json::Object json{{"version", llvm::StringRef(version())},
                          {"device", report.device},
                          {"problem", to_json(report.call)},
                          {"kernel", report.kernel}};
  std::visit([&](const auto& found) { add_to(json, found); }, report.accuracy);
  if (report.timing) json["timing"] = to_json(*report.timing, report.flops.number, report.bytes);
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
  options.moves.add_to(flags);
  flags.section("inputs and output");
  flags.add("seed", "N", "of random inputs, dropout and the order of emulated warps (1)",
            options.seed);
  flags.add("dist", "normal|outliers", "outliers: 1 % of the entries x 30 (normal)",
            options.distribution);
  flags.add("grad-dtype", "f16|bf16|f32", "of the gradients of Q, K and V (that of Q, K and V)",
            options.gradient_dtype);
  flags.add("accumulate", "add to gradients that hold random values; needs --grad-dtype f32",
            options.accumulate);
  flags.add("json", "print JSON", options.json);
  if (!flags.parse(args, out)) return Exit::ok;
  if (options.emulation.trace && !options.emulation.emulate)
    throw Error(ErrorCode::invalid_config, "--trace needs --emulate");
  options.require_fit();

  const Report report = options.emulation.emulate ? run_on_emulator(options) : run(options);
  if (options.json) {
    out << llvm::formatv("{0:2}\n", llvm::json::Value(to_json(report)));
  } else {
    print(report, out);
  }
  return report.ok() ? Exit::ok : Exit::wrong;
}

}  // namespace streamattn
