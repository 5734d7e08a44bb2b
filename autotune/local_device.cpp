// Builds, checks and times in process.
#include "autotune/local_device.h"

#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <future>

#include "commit.h"
#include "compiler/toolchain/nvrtc.h"
#include "runtime/cache/kernel_cache.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

constexpr int equal_runs = 3;

// The reference of a call that is timed: enough rows to notice anything but a rare fault.
constexpr double reference_cost = 4e8;

/// What a JSON number can hold.
double finite(double value) { return std::isfinite(value) ? value : 1e30; }

/// "580.159", or empty where the driver's module does not say.
std::string driver_release() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string line;
  std::getline(file, line);
  llvm::StringRef text = line;
  text = text.split("Kernel Module").second.ltrim();
  while (!text.empty() && !llvm::isDigit(text.front())) text = text.split(' ').second.ltrim();
  return text.take_until([](char c) { return c == ' ' || c == '\n'; }).str();
}

std::string why(const Accuracy& accuracy) {
  if (accuracy.nan_rows > 0)
    return llvm::formatv("{0} rows have a NaN or were not written", accuracy.nan_rows);
  if (!accuracy.untouched) return "memory beside the rows was written";
  const Errors& errors = accuracy.errors;
  if (errors.o > errors.o_allowed)
    return llvm::formatv("the error of O is {0:e2}, {1:e2} is allowed", errors.o, errors.o_allowed);
  return llvm::formatv("the error of LSE is {0:e2}, {1:e2} is allowed", errors.lse,
                       errors.lse_allowed);
}

/// A launch that fails may have broken the context: nobody else should use this process.
Outcome outcome_of(const Error& error) {
  return {error.code() == ErrorCode::launch_failed ? Fate::crashed : Fate::refused, error.what()};
}

bool same_bits(const HostTensor& a, const std::vector<std::byte>& b) {
  return a.bytes().size() == b.size() && std::memcmp(a.bytes().data(), b.data(), b.size()) == 0;
}

std::vector<std::byte> bytes_of(const HostTensor& tensor) {
  return {tensor.bytes().begin(), tensor.bytes().end()};
}

}  // namespace

/// A call with its tensors on the device, and what is right.
struct LocalDevice::OpenCall {
  OpenCall(const ForwardCase& given, Workbench& bench)
      : key(given.describe()), call(given), tensors(given), operands(tensors, bench) {}

  const Expected& expected() {
    if (!expected_) expected_.emplace(call, tensors, reference_cost);
    return *expected_;
  }

  /// A launch as it is timed. Graphs are kept for the next round, as each takes from the words that
  /// captured launches share.
  Enqueue timed_launch(const ForwardKernel& kernel, Workbench& bench) {
    if (bench.policy().launch == LaunchMode::eager) return operands.launch_of(kernel);
    const auto known = std::ranges::find(graphs_, &kernel, &KeptGraph::first);
    if (known != graphs_.end()) {
      graphs_.splice(graphs_.begin(), graphs_, known);
      return graphs_.front().second;
    }
    if (graphs_.size() >= most_graphs) graphs_.pop_back();
    graphs_.emplace_front(&kernel, bench.prepared(operands.launch_of(kernel)));
    return graphs_.front().second;
  }

  std::string key;
  ForwardCase call;
  ForwardTensors tensors;
  Operands operands;

 private:
  using KeptGraph = std::pair<const ForwardKernel*, Enqueue>;
  static constexpr std::size_t most_graphs = 32;  // each has a workspace of its own

  std::optional<Expected> expected_;
  std::list<KeptGraph> graphs_;  // the latest in front
};

LocalDevice::LocalDevice(JitOptions options, const TimingWish& wish)
    : options_(std::move(options)), wish_(wish), jit_(Jit::create(options_)) {}
LocalDevice::~LocalDevice() = default;

const Target& LocalDevice::target() const { return jit_.target(); }

Workbench& LocalDevice::bench() {
  if (!bench_) bench_ = workbench_for(jit_.device(), wish_);
  return *bench_;
}

TuneSite LocalDevice::site() {
  const TimingPolicy policy = bench().policy();
  TuneSite site{bench_->name(),
                {.commit = STREAMATTN_COMMIT,
                 .l2 = std::string(name(policy.l2)),
                 .launch = std::string(name(policy.launch))}};
  if (target().is_cpu()) return site;
  site.timed.driver = driver_release();
  site.timed.nvrtc = llvm::StringRef(compiler_identity()).split(' ').second.split(' ').first.str();
  return site;
}

LocalDevice::OpenCall& LocalDevice::open(const ForwardCase& call) {
  const std::string key = call.describe();
  const auto known = std::ranges::find(open_, key, &OpenCall::key);
  if (known != open_.end()) {
    open_.splice(open_.begin(), open_, known);
    return open_.front();
  }
  if (open_.size() >= most_open) open_.pop_back();
  return open_.emplace_front(call, bench());
}

void LocalDevice::build(const Problem& problem, const std::vector<Schedule>& schedules,
                        const std::function<void(std::size_t, const BuildOutcome&)>& done) {
  std::vector<std::future<BuildOutcome>> running;
  for (const Schedule& schedule : schedules)
    running.push_back(std::async([this, &problem, &schedule] {
      return build_program(problem, schedule, target(), options_);
    }));
  for (std::size_t i = 0; i < running.size(); i++) done(i, running[i].get());
}

CheckOutcome LocalDevice::check(const ForwardCase& given, const Schedule& schedule) {
  CheckOutcome outcome;
  try {
    const ForwardKernel& kernel = jit_.forward(given.problem, schedule);
    OpenCall& call = open(given);
    std::vector<std::byte> o, lse;
    for (int run = 0; run < equal_runs; run++) {
      call.operands.poison_outputs();
      bench_->run(call.operands.launch_of(kernel));
      call.operands.download_outputs(call.tensors);
      if (run == 0) {
        o = bytes_of(call.tensors.o), lse = bytes_of(call.tensors.lse);
      } else if (!same_bits(call.tensors.o, o) || !same_bits(call.tensors.lse, lse)) {
        outcome.fate = Fate::wrong;
        outcome.reason = llvm::formatv("run {0} gave other bits than run 1", run + 1);
        return outcome;
      }
    }
    const Arithmetic arithmetic = target().is_cpu() ? Arithmetic::float32 : Arithmetic::gpu;
    const Accuracy accuracy = call.expected().accuracy_of(call.tensors, arithmetic);
    outcome.error = finite(accuracy.errors.o), outcome.allowed = finite(accuracy.errors.o_allowed);
    if (!accuracy.ok()) outcome.fate = Fate::wrong, outcome.reason = why(accuracy);
  } catch (const Error& error) {
    static_cast<Outcome&>(outcome) = outcome_of(error);
  }
  return outcome;
}

TimeOutcome LocalDevice::time(const ForwardCase& given, const Schedule& schedule, int runs) {
  TimeOutcome outcome;
  try {
    const ForwardKernel& kernel = jit_.forward(given.problem, schedule);
    OpenCall& call = open(given);
    outcome.milliseconds = bench_->time(call.timed_launch(kernel, *bench_), runs);
  } catch (const Error& error) {
    static_cast<Outcome&>(outcome) = outcome_of(error);
  }
  return outcome;
}

BuildOutcome build_program(const Problem& problem, const Schedule& schedule, const Target& target,
                           const JitOptions& options) {
  BuildOutcome outcome{.is_from_cache = true};
  try {
    check(Operation::forward, problem, schedule, target);
    if (target.is_cpu()) return outcome;  // its kernel is part of the library
    KernelCache cache(cache_options(options.cache_mode, options.cache_dir));
    for (const Source& source : emit(Operation::forward, problem, schedule, target)) {
      const Binary binary = cache.find_or_compile(
          source, [&] { return Provenance{compile_options(target), compiler_identity()}; },
          [&] {
            outcome.is_from_cache = false;
            return compile(source);
          });
      const Resources& resources = binary.resources;
      outcome.registers = std::max(outcome.registers, resources.registers);
      outcome.spill_bytes += resources.spill_store_bytes + resources.spill_load_bytes;
      outcome.milliseconds += binary.compile_milliseconds;
      for (const std::string& advisory : binary.advisories)
        outcome.is_serialised =
            outcome.is_serialised || advisory.find("serialized") != std::string::npos;
    }
  } catch (const Error& error) {
    outcome.fate = Fate::refused, outcome.reason = error.what();
  }
  return outcome;
}

}  // namespace streamattn
