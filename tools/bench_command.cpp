// `streamattn bench`: times problems and schedules, interleaved.
#include <llvm/Support/FormatVariadic.h>

#include "measure/append_operands.h"
#include "measure/backward_operands.h"
#include "streamattn/jit.h"
#include "support/progress.h"
#include "tools/bench_grid.h"
#include "tools/bench_report.h"
#include "tools/flops.h"
#include "tools/move_flags.h"
#include "tools/streaming_sweep.h"
#include "tools/timing_flags.h"
#include "tools/tool.h"

namespace streamattn {
namespace {

struct Options {
  BenchGridFlags grid;
  MoveFlags moves;
  StreamingFlags streaming;
  ScheduleFlags schedule;
  RoundOptions method;
  TimingWish timing;
  std::optional<std::string> baseline;
  bool json = false, csv = false;
};

struct Contender {
  BenchCandidate candidate;
  Enqueue launch = nullptr;  // null: refused
};

/// The tensors of a call, and its launches.
class BenchedCall {
 public:
  BenchedCall(const Jit& jit, Workbench& bench, const ForwardCase& call, const MoveFlags& moves) {
    switch (call.operation) {
      case Operation::forward:
        keep(std::make_shared<Operands>(ForwardTensors(call), bench),
             [&](const Schedule& s) -> auto& { return jit.forward(call.problem, s); });
        break;
      case Operation::backward: {
        BackwardTensors tensors({.forward = call, .of_tensors = false});
        run_once(jit.forward(call.problem, call.shape), tensors.forward, bench);
        keep(std::make_shared<BackwardOperands>(tensors, bench),
             [&](const Schedule& s) -> auto& { return jit.backward(call.problem, s); });
        break;
      }
      case Operation::append:
        bytes_ = moved_bytes(moves.append(call));
        keep(std::make_shared<AppendOperands>(AppendTensors(moves.append(call)), bench),
             [&](const Schedule& s) -> auto& { return jit.append(call.problem, s); });
        break;
      case Operation::merge:
        bytes_ = moved_bytes(moves.merge(call));
        keep(std::make_shared<MergeOperands>(MergeTensors(moves.merge(call)), bench),
             [&](const Schedule& s) -> auto& { return jit.merge(call.problem, s); });
        break;
    }
  }

  /// Throws Error (invalid_schedule).
  Enqueue launch(const Schedule& schedule) const { return launch_(schedule); }

  /// Of operations that move rows.
  double bytes() const { return bytes_; }

 private:
  template <class SomeOperands, class Find>
  void keep(const std::shared_ptr<SomeOperands>& operands, const Find& find) {
    launch_ = [operands, find](const Schedule& s) { return operands->launch_of(find(s)); };
  }

  std::function<Enqueue(const Schedule&)> launch_;
  double bytes_ = 0;
};

/// The kernel with one --schedule. A schedule that suits some of the rows may be illegal in
/// others: that is a refusal, not the end of the benchmark.
Contender find_contender(const Jit& jit, Workbench& bench, const BenchedCall& benched,
                         const ForwardCase& call, const ScheduleTable& pins,
                         const std::string& fields) {
  Contender contender{.candidate = {.fields = fields}};
  const Schedule schedule = overridden_schedule(call, jit.target(), pins, fields);
  contender.candidate.schedule = schedule.describe();
  try {
    contender.launch = bench.prepared(benched.launch(schedule));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_schedule) throw;
    contender.candidate.refusal = error.what();
  }
  return contender;
}

BenchRow bench_call(const Jit& jit, Workbench& bench, const ForwardCase& call,
                    const Options& options, const ScheduleTable& pins,
                    const std::function<void()>& advance) {
  std::vector<std::string> overrides = options.schedule.overrides;
  if (overrides.empty()) overrides.push_back("");
  ForwardCase seeded = call;
  seeded.seed = seeded.dropout.seed = options.method.seed;
  const BenchedCall benched(jit, bench, seeded, options.moves);
  std::vector<Contender> contenders;
  for (const std::string& fields : overrides) {
    contenders.push_back(find_contender(jit, bench, benched, call, pins, fields));
  }
  std::vector<Stopwatch> stopwatches;
  for (const Contender& contender : contenders) {
    if (!contender.launch) continue;
    stopwatches.push_back(
        [&bench, &launch = contender.launch](int runs) { return bench.time(launch, runs); });
  }
  const auto timings =
      time_interleaved(stopwatches, options.method, bench.overhead_milliseconds(), advance);

  BenchRow row{.call = call, .flops = flops(call), .bytes = benched.bytes(), .candidates = {}};
  auto timing = timings.begin();
  for (Contender& contender : contenders) {
    if (contender.launch) contender.candidate.timing = *timing++;
    row.candidates.push_back(std::move(contender.candidate));
  }
  return row;
}

BenchReport bench(const Options& options) {
  const std::vector<ForwardCase> calls = options.grid.calls();
  for (const ForwardCase& call : calls) options.moves.require_fit(call.operation);
  const auto baseline =
      options.baseline ? std::optional(Baseline::load(*options.baseline)) : std::nullopt;
  const ScheduleTable pins = options.schedule.pin_rows();
  const Jit jit = Jit::create({.target = options.schedule.target, .pins = pins});
  const auto workbench = workbench_for(jit.device(), options.timing);

  BenchReport report{.device = workbench->name(),
                     .policy = workbench->policy(),
                     .method = options.method,
                     .rows = {}};
  const std::size_t candidates = std::max<std::size_t>(1, options.schedule.overrides.size());
  Progress progress("bench", calls.size() * candidates * options.method.rounds);
  std::int64_t done = 0;
  for (const ForwardCase& call : calls) {
    const std::string what = call.problem.describe() + ", " + std::to_string(call.shape.kv_len);
    const auto advance = [&] { progress.update(++done, what); };
    report.rows.push_back(bench_call(jit, *workbench, call, options, pins, advance));
    if (baseline) report.rows.back().peers = baseline->find(call);
  }
  return report;
}

template <class Report>
void print(const Report& report, const Options& options, llvm::raw_ostream& out) {
  if (options.json) {
    out << llvm::formatv("{0:2}\n", llvm::json::Value(report.to_json()));
  } else if (options.csv) {
    report.print_csv(out);
  } else {
    report.print(out);
  }
}

}  // namespace

Exit bench_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  Options options;
  Flags flags("bench [flags]",
              "Times kernels on independent random inputs. In every round each --schedule runs\n"
              "once, in random order, on a GPU with a cold L2; the figure is the median over the\n"
              "rounds but the first.");
  options.grid.add_to(flags);
  options.moves.add_to(flags);
  options.streaming.add_to(flags);
  options.schedule.add_to(flags);
  flags.section("method and output");
  flags.add("rounds", "N", "(9)", options.method.rounds);
  flags.add("round-ms", "X", "milliseconds of a schedule and round (35)",
            options.method.round_milliseconds);
  add_timing_flags(flags, options.timing);
  for (const char* flag : {"l2", "launch"}) flags.exclude({"preset", flag});
  flags.add("seed", "N", "of inputs, dropout and the order (1)", options.method.seed);
  flags.add("baseline", "FILE", "JSON with peers' TFLOP/s to print beside ours", options.baseline);
  flags.add("json", "print JSON, every round in it", options.json);
  flags.add("csv", "print CSV", options.csv);
  flags.exclude({"json", "csv"});
  if (!flags.parse(args, out)) return Exit::ok;
  if (options.method.rounds < 1) {
    throw Error(ErrorCode::invalid_config, "--rounds must be >= 1");
  }

  if (options.streaming.is_asked()) {
    const StreamingReport report =
        options.streaming.measure(options.grid, options.schedule, options.method);
    print(report, options, out);
    options.streaming.write_plot(report);
  } else {
    print(bench(options), options, out);
  }
  return Exit::ok;
}

}  // namespace streamattn
