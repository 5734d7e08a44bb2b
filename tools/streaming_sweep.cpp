// Measures attention sinks with a sliding window beside dense causal attention.
#include "tools/streaming_sweep.h"

#include <llvm/ADT/STLExtras.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "compiler/expr/names.h"
#include "measure/operands.h"
#include "measure/statistics.h"
#include "streamattn/jit.h"
#include "streamattn/masks.h"
#include "support/progress.h"
#include "tools/flops.h"

namespace streamattn {
namespace {

constexpr const char* window_name = "window";
constexpr const char* sinks_name = "sinks";
constexpr double default_dense_milliseconds = 200;

// The CPU is slower throughout.
std::vector<std::int64_t> default_seqs(bool on_cpu) {
  std::vector<std::int64_t> seqs;
  for (std::int64_t seq = 128; seq <= (on_cpu ? 4096 : 1 << 20); seq *= 2) seqs.push_back(seq);
  return seqs;
}

std::vector<Reach> default_reaches(bool on_cpu) {
  if (on_cpu) return {{64, 16}, {128, 32}, {256, 4}};
  return {{64, 16}, {128, 32}, {256, 4}, {1024, 4}, {4096, 4}};
}

/// The calls, one a length, ascending. All state the same problem.
std::vector<ForwardCase> sweep_calls(const BenchGridFlags& grid, bool on_cpu) {
  std::vector<ForwardCase> calls = grid.calls({.masks = {streaming_mask().text()},
                                               .seqs = default_seqs(on_cpu),
                                               .heads = 16,
                                               .scalars = {{window_name, 1}, {sinks_name, 0}}});
  for (const ForwardCase& call : calls) {
    if (call.problem.describe() != calls.front().problem.describe())
      throw Error(ErrorCode::invalid_config,
                  "--preset streaming is of one problem: give one --head-dim and one --score");
  }
  std::ranges::sort(calls, {}, [](const ForwardCase& call) { return call.shape.kv_len; });
  const auto repeated =
      std::ranges::unique(calls, {}, [](const ForwardCase& call) { return call.shape.kv_len; });
  calls.erase(repeated.begin(), repeated.end());
  return calls;
}

/// The same call with a causal mask, and the values of what is still named.
ForwardCase dense_call(ForwardCase call) {
  call.problem.mask = causal();
  const auto named = ExprNames(call.problem).scalars;
  llvm::erase_if(call.scalars, [&](const NamedNumber& scalar) {
    return std::ranges::count(named, scalar.name, &ExprName::name) == 0;
  });
  return call;
}

/// What is asked of a Jit for one problem, and how many kernels that takes.
class KernelCounter {
 public:
  void add(const ForwardKernel& kernel) {
    kernels_.insert(&kernel);
    if (kernel.resources().empty()) return;  // built in
    for (const Source& source :
         emit(kernel.operation(), kernel.problem(), kernel.schedule(), kernel.target()))
      cached_by_text_.emplace(source.flat, kernel.from_cache());
  }

  KernelCount count() const {
    const auto cached = llvm::count_if(cached_by_text_, [](const auto& b) { return b.second; });
    return {.kernels = static_cast<int>(kernels_.size()),
            .compiled = static_cast<int>(cached_by_text_.size()) - static_cast<int>(cached),
            .cached = static_cast<int>(cached)};
  }

 private:
  std::set<const ForwardKernel*> kernels_;
  std::map<std::string, bool> cached_by_text_;
};

/// Tells how long dense attention would take: as the square of the length, from the longest that
/// was timed.
class DenseTrend {
 public:
  bool is_known() const { return seq_ > 0; }
  void add(std::int64_t seq, double milliseconds) { seq_ = seq, milliseconds_ = milliseconds; }
  double estimate(std::int64_t seq) const {
    const double ratio = static_cast<double>(seq) / static_cast<double>(seq_);
    return milliseconds_ * ratio * ratio;
  }

 private:
  std::int64_t seq_ = 0;
  double milliseconds_ = 0;
};

class Sweep {
 public:
  Sweep(const Jit& jit, const ScheduleTable& pins, std::string fields, StreamingReport& report)
      : jit_(jit),
        bench_(workbench_for(jit.device())),
        pins_(pins),
        fields_(std::move(fields)),
        report_(report) {
    report.device = bench_->name();
  }

  void run(const std::vector<ForwardCase>& calls) {
    const std::size_t candidates = 1 + report_.reaches.size();
    Progress progress("bench", calls.size() * candidates * report_.method.rounds);
    std::int64_t done = 0, planned = 0;
    for (const ForwardCase& call : calls) {
      const std::string what = "seq " + std::to_string(call.shape.kv_len);
      report_.rows.push_back(measure(call, [&] { progress.update(++done, what); }));
      planned += static_cast<std::int64_t>(candidates) * report_.method.rounds;
      done = planned;  // also where dense attention was left out
    }
    report_.dense = dense_kernels_.count();
    report_.streaming = streaming_kernels_.count();
  }

 private:
  StreamingRow measure(const ForwardCase& call, const std::function<void()>& advance) {
    StreamingRow row{.seq = call.shape.kv_len, .dense = {}, .reaches = {}};
    const ForwardCase dense = dense_call(call);
    const bool with_dense = is_worth_timing(dense, row.dense_estimate);

    const ForwardKernel& kernel = streaming_kernel(call);
    const Operands operands(ForwardTensors(call), *bench_);
    std::vector<std::vector<ScalarArg>> scalars;  // what the launches point into
    scalars.reserve(report_.reaches.size() + 1);
    std::vector<Stopwatch> stopwatches;
    const auto add = [&](const ForwardKernel& timed, std::vector<ScalarArg> values) {
      ForwardArgs args = operands.args();
      args.scalars = scalars.emplace_back(std::move(values));
      stopwatches.push_back([this, launch = with_workspace(timed, args, *bench_)](int runs) {
        return bench_->time(launch, runs);
      });
    };
    for (const Reach& reach : report_.reaches) add(kernel, scalars_of(operands, call, &reach));
    if (with_dense) add(dense_kernel(dense), scalars_of(operands, dense, nullptr));

    std::vector<Timing> timings =
        time_interleaved(stopwatches, report_.method, bench_->overhead_milliseconds(), advance);
    const double width = 2.0 * (call.problem.head_dim + call.problem.v_head_dim());
    const auto rows = static_cast<double>(call.shape.batch * call.heads());
    if (with_dense) {
      row.dense = {std::move(timings.back()), forward_flops(dense).number,
                   dense_kernel(dense).schedule().describe()};
      timings.pop_back();
      trend_.add(row.seq, row.dense->timing.milliseconds);
    }
    for (std::size_t i = 0; i < timings.size(); i++) {
      row.reaches.push_back({std::move(timings[i]),
                             width * rows * streaming_pairs(row.seq, report_.reaches[i]),
                             kernel.schedule().describe()});
    }
    return row;
  }

  const ForwardKernel& streaming_kernel(const ForwardCase& call) {
    const ForwardKernel& kernel =
        fields_.empty()
            ? jit_.forward(call.problem, call.shape)
            : jit_.forward(call.problem, overridden_schedule(call, jit_.target(), pins_, fields_));
    streaming_kernels_.add(kernel);
    return kernel;
  }

  const ForwardKernel& dense_kernel(const ForwardCase& call) {
    const ForwardKernel& kernel = jit_.forward(call.problem, call.shape);
    dense_kernels_.add(kernel);
    return kernel;
  }

  /// The scalars that a call names, those of the reach among them.
  std::vector<ScalarArg> scalars_of(const Operands& operands, const ForwardCase& call,
                                    const Reach* reach) const {
    std::vector<ScalarArg> values;
    for (ScalarArg scalar : operands.args().scalars) {
      if (std::ranges::count(call.scalars, scalar.name, &NamedNumber::name) == 0) continue;
      if (reach && scalar.name == window_name) scalar.value = static_cast<double>(reach->window);
      if (reach && scalar.name == sinks_name) scalar.value = static_cast<double>(reach->sinks);
      values.push_back(scalar);
    }
    return values;
  }

  /// Whether one run stays below the bound; what it would take, otherwise.
  bool is_worth_timing(const ForwardCase& dense, double& estimate) {
    if (report_.dense_milliseconds <= 0) return false;
    constexpr std::int64_t probed = 1024;
    const std::int64_t seq = dense.shape.kv_len;
    if (!trend_.is_known()) {
      if (seq <= probed) return true;
      ForwardCase shorter = dense;
      shorter.shape.q_len = shorter.shape.kv_len = probed;
      const Operands operands(ForwardTensors(shorter), *bench_);
      // Not counted: a kernel for a length that is not in the sweep.
      const ForwardKernel& kernel = jit_.forward(shorter.problem, shorter.shape);
      trend_.add(probed, median(bench_->time(operands.launch_of(kernel), 3)));
    }
    if (trend_.estimate(seq) <= report_.dense_milliseconds) return true;
    estimate = trend_.estimate(seq);
    return false;
  }

  const Jit& jit_;
  std::unique_ptr<Workbench> bench_;
  const ScheduleTable& pins_;
  std::string fields_;  // of the streaming kernel's schedule
  StreamingReport& report_;
  KernelCounter dense_kernels_, streaming_kernels_;
  DenseTrend trend_;
};

[[noreturn]] void refuse_plot(const std::string& path, std::error_code error) {
  throw Error(ErrorCode::invalid_config, "cannot write " + path + ": " + error.message());
}

std::unique_ptr<llvm::raw_fd_ostream> open_plot(const std::string& path) {
  std::error_code error;
  auto file = std::make_unique<llvm::raw_fd_ostream>(path, error);
  if (error) refuse_plot(path, error);
  return file;
}

}  // namespace

void read_value(llvm::StringRef flag, llvm::StringRef text, Reach& value) {
  const auto [window, sinks] = text.split(':');
  constexpr std::int64_t most = 1 << 30;  // of a scalar
  if (window.getAsInteger(10, value.window) || sinks.getAsInteger(10, value.sinks) ||
      value.window < 1 || value.sinks < 0 || std::max(value.window, value.sinks) > most)
    reject_value(flag, text,
                 "window:sinks such as 1024:4, a window of 1 to 2^30 and 0 to 2^30 sinks");
}

Expr streaming_mask() {
  return causal() && (sinks(scalar(sinks_name)) || sliding_window(scalar(window_name) - 1));
}

double streaming_pairs(std::int64_t seq, const Reach& reach) {
  const auto triangle = [](std::int64_t n) {
    return 0.5 * static_cast<double>(n) * static_cast<double>(n + 1);
  };
  // Query t sees the last min(t + 1, window) keys, and of the t + 1 - window before those the first
  // `sinks`: each sum is a triangle and then a rectangle.
  const auto sum = [&](std::int64_t queries, std::int64_t limit) {
    const std::int64_t rising = std::clamp<std::int64_t>(limit, 0, queries);
    return triangle(rising) + static_cast<double>(queries - rising) * static_cast<double>(limit);
  };
  return sum(seq, reach.window) + sum(std::max<std::int64_t>(0, seq - reach.window), reach.sinks);
}

void StreamingFlags::add_to(Flags& flags) {
  flags.section("--preset streaming: sinks and a sliding window beside dense causal attention");
  flags.add("preset", "streaming",
            "time both over the length, with these flags and those of one problem "
            "(16 heads, --seq 128 to 1048576; on the CPU to 4096)",
            preset_);
  flags.add("reach", "W:S,...",
            "windows, the query itself counted, and sinks "
            "(64:16,128:32,256:4,1024:4,4096:4; on the CPU the first three)",
            reaches_);
  flags.add("dense-ms", "X",
            "leave dense attention out where a run would take longer; 0: everywhere (200)",
            dense_milliseconds_);
  flags.add("plot", "FILE", "write the times and the speed-up as an SVG", plot_);
  for (const char* other : {"suite", "mask", "causal", "baseline", "q-len", "tokens"})
    flags.exclude({"preset", other});
}

bool StreamingFlags::is_asked() const {
  if (preset_ && *preset_ != "streaming")
    throw Error(ErrorCode::invalid_config, "unknown preset \"" + *preset_ + "\", known: streaming");
  if (preset_) return true;
  const char* const stray = !reaches_.empty()     ? "reach"
                            : dense_milliseconds_ ? "dense-ms"
                            : plot_               ? "plot"
                                                  : nullptr;
  if (stray)
    throw Error(ErrorCode::invalid_config, std::string("--") + stray + " needs --preset streaming");
  return false;
}

StreamingReport StreamingFlags::measure(const BenchGridFlags& grid, const ScheduleFlags& schedule,
                                        const RoundOptions& method) const {
  if (plot_) open_plot(*plot_);  // before the work is done
  const std::string fields = schedule.only_override();
  const ScheduleTable pins = schedule.pin_rows();
  const bool said_cpu = schedule.target == "cpu";
  sweep_calls(grid, said_cpu);  // what is wrong with flags is said before a device is looked for
  const Jit jit = Jit::create({.target = schedule.target, .pins = pins});
  const bool on_cpu = jit.device() < 0;
  std::vector<ForwardCase> calls = sweep_calls(grid, on_cpu);
  for (ForwardCase& call : calls) call.seed = method.seed;

  StreamingReport report{
      .device = {},
      .method = method,
      .call = calls.front(),
      .dense_milliseconds = dense_milliseconds_.value_or(default_dense_milliseconds),
      .reaches = reaches_.empty() ? default_reaches(on_cpu) : reaches_,
      .rows = {},
      .dense = {},
      .streaming = {}};
  for (const char* varies : {window_name, sinks_name})
    llvm::erase_if(report.call.scalars, [&](const NamedNumber& s) { return s.name == varies; });
  Sweep(jit, pins, fields, report).run(calls);
  return report;
}

void StreamingFlags::write_plot(const StreamingReport& report) const {
  if (!plot_) return;
  const auto file = open_plot(*plot_);
  *file << report.plot();
  file->close();
  if (const std::error_code error = file->error()) {
    file->clear_error();
    refuse_plot(*plot_, error);
  }
}

}  // namespace streamattn
