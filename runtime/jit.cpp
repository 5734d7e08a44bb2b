// The front door: memory over choose, emit, compile and load.
#include "streamattn/jit.h"

#include <llvm/ADT/Hashing.h>
#include <llvm/Support/FormatVariadic.h>

#include <future>
#include <shared_mutex>
#include <tuple>
#include <unordered_map>

#include "compiler/problem_fields.h"
#include "compiler/toolchain/nvrtc.h"
#include "runtime/cache/kernel_cache.h"
#include "runtime/cpu/executor.h"
#include "runtime/gpu/executor.h"
#include "runtime/memo.h"
#include "support/environment.h"
#include "support/log.h"
#include "support/per_process.h"

namespace streamattn {
namespace {

/// What is asked for; whoever keeps it for long has a Request.
struct RequestView {
  const Problem& problem;
  const Shape& shape;
};

struct Request {
  Problem problem;
  Shape shape;
  operator RequestView() const { return {problem, shape}; }
};

struct RequestHash {
  using is_transparent = void;
  std::size_t operator()(const RequestView& r) const {
    const Shape& s = r.shape;
    return llvm::hash_combine(hash(r.problem), s.batch, s.kv_heads, s.q_len, s.kv_len);
  }
};

struct RequestEqual {
  using is_transparent = void;
  bool operator()(const RequestView& a, const RequestView& b) const {
    return a.shape == b.shape && a.problem == b.problem;
  }
};

/// Answers already given. They only save work, so they are forgotten when lengths without end fill
/// the memory.
template <class Value>
class Answers {
 public:
  const Value* find(const RequestView& request) const {
    const std::shared_lock lock(mutex_);
    const auto found = answers_.find(request);
    return found == answers_.end() ? nullptr : found->second;
  }

  void remember(const RequestView& request, const Value& value) {
    const std::unique_lock lock(mutex_);
    if (answers_.size() >= most) answers_.clear();
    answers_.emplace(Request{request.problem, request.shape}, &value);
  }

 private:
  static constexpr std::size_t most = 1 << 16;
  mutable std::shared_mutex mutex_;
  std::unordered_map<Request, const Value*, RequestHash, RequestEqual> answers_;
};

/// Kernels of one operation: by problem and schedule, and by what was asked for.
template <class KernelType>
struct Kernels {
  Memo<KernelType> made;
  Answers<KernelType> answers;
};

bool is_served(const GpuDevice& device) {
  for (const Target* target : served_targets())
    if (target->name == device.architecture()) return true;
  return false;
}

[[noreturn]] void refuse_unserved(const GpuDevice& device) {
  std::string served;
  for (const Target* target : served_targets())
    if (!target->is_cpu()) served += (served.empty() ? "" : " or ") + std::string(target->name);
  throw Error(ErrorCode::no_device,
              llvm::formatv("device {0} ({1}) is {2}, and no family has kernels for it: {3} is "
                            "needed; the target \"cpu\" computes on the host",
                            device.ordinal(), device.device_name(), device.architecture(), served));
}

// The device to run on; null for the CPU, also where there is no GPU and none was asked for.
GpuDevice* find_device(const JitOptions& options) {
  if (options.target && find_target(*options.target).is_cpu()) return nullptr;
  const bool wanted = options.target || options.device;
  if (!wanted && !try_driver()) return nullptr;
  GpuDevice& device = GpuDevice::get(options.device);
  if (options.target && *options.target != device.architecture())
    throw Error(ErrorCode::no_device,
                llvm::formatv("target {0} was asked for, device {1} ({2}) is {3}", *options.target,
                              device.ordinal(), device.device_name(), device.architecture()));
  if (is_served(device)) return &device;
  if (options.cpu_fallback) return nullptr;
  refuse_unserved(device);
}

}  // namespace

struct Jit::State {
  explicit State(JitOptions given)
      : options(std::move(given)),
        device(find_device(options)),
        target(find_target(device ? std::string_view(device->architecture()) : "cpu")),
        table(options.pins),
        cache(cache_options(options.cache_mode, options.cache_dir)) {
    table.append(ScheduleTable::shipped());
  }

  std::shared_ptr<LoadedKernel> load(const Source& source);
  std::vector<std::shared_ptr<const LoadedKernel>> load(const Program& program);
  std::unique_ptr<const Executor> executor(KernelOrigin& origin);

  /// Whose rows are used; empty: everybody's.
  std::string_view row_device() const {
    return device && !options.foreign_rows ? std::string_view(device->device_name()) : "";
  }

  /// The kernel of this type for a problem: by its choice, for a shape, or with a schedule of the
  /// caller's.
  template <class KernelType>
  const KernelType& get(const Problem& problem, const Choice& choice);
  template <class KernelType>
  const KernelType& get(const Problem& problem, const Shape& shape);
  template <class KernelType>
  const KernelType& get(const Problem& problem, const Schedule& schedule);

  /// What is taken for a request; not for good where a tuner is to be asked another time.
  struct Taken {
    Choice choice;
    bool is_final = true;
  };
  Taken take(Operation operation, const Problem& problem, const Shape& shape);
  bool is_captured() const;

  const JitOptions options;
  GpuDevice* const device;
  const Target& target;
  ScheduleTable table;
  KernelCache cache;

  // What one process has asked for; a forked child asks anew and keeps what it was given before.
  struct Memory {
    Memo<LoadedKernel> loaded;  // by text
    std::tuple<Kernels<ForwardKernel>, Kernels<BackwardKernel>, Kernels<AppendKernel>,
               Kernels<MergeKernel>>
        kernels;
  };
  PerProcess<Memory> memory;
};

// Schedules that differ in nothing that is compiled in, and programs that share a kernel, load it
// once.
std::shared_ptr<LoadedKernel> Jit::State::load(const Source& source) {
  // Templates of the library never change; those of a folder may, between two calls.
  const std::string& key = options.template_dir ? source.flat : source.text;
  return memory.get().loaded.get(key, [&] {
    bool compiled = false;
    const Binary binary = cache.find_or_compile(
        source, [&] { return Provenance{compile_options(target), compiler_identity()}; },
        [&] {
          compiled = true;
          return compile(source);
        });
    for (const std::string& advisory : binary.advisories)
      log(LogLevel::warning, LogTopic::compile, source.entry + ": " + advisory);
    return std::make_shared<LoadedKernel>(source, binary, !compiled, *device);
  });
}

// Kernels compile side by side where a thread is to be had.
std::vector<std::shared_ptr<const LoadedKernel>> Jit::State::load(const Program& program) {
  std::vector<std::future<std::shared_ptr<LoadedKernel>>> others;
  for (std::size_t i = 1; i < program.size(); i++)
    others.push_back(std::async([this, &source = program[i]] { return load(source); }));
  std::vector<std::shared_ptr<const LoadedKernel>> kernels = {load(program.front())};
  for (auto& other : others) kernels.push_back(other.get());
  return kernels;
}

// Runs the kernel of `origin`, whose resources it fills in.
std::unique_ptr<const Executor> Jit::State::executor(KernelOrigin& origin) {
  const Schedule& schedule = origin.choice.schedule;
  if (!device) return cpu_executor(origin.operation, origin.problem, schedule);
  auto kernels =
      load(emit(origin.operation, origin.problem, schedule, target, {options.template_dir}));
  origin.from_cache = true;
  for (const auto& kernel : kernels) {
    origin.resources.push_back(kernel->resources());
    origin.from_cache = origin.from_cache && kernel->from_cache();
  }
  return std::make_unique<GpuExecutor>(origin.problem, schedule, std::move(kernels), *device);
}

template <class KernelType>
const KernelType& Jit::State::get(const Problem& problem, const Choice& choice) {
  const std::string key = problem.describe() + "; " + choice.schedule.describe();
  return *std::get<Kernels<KernelType>>(memory.get().kernels).made.get(key, [&] {
    KernelOrigin origin{KernelType::served, problem, choice, target};
    auto runs = executor(origin);
    return std::make_shared<KernelType>(std::move(origin), std::move(runs));
  });
}

template <class KernelType>
const KernelType& Jit::State::get(const Problem& problem, const Shape& shape) {
  auto& answers = std::get<Kernels<KernelType>>(memory.get().kernels).answers;
  const RequestView request{problem, shape};
  if (const KernelType* known = answers.find(request)) return *known;
  const Taken taken = take(KernelType::served, problem, shape);
  const KernelType& kernel = get<KernelType>(problem, taken.choice);
  if (taken.is_final) answers.remember(request, kernel);
  return kernel;
}

bool Jit::State::is_captured() const {
  if (!device) return false;
  const ContextScope scope(device->context());
  return is_any_stream_captured();
}

Jit::State::Taken Jit::State::take(Operation operation, const Problem& problem,
                                   const Shape& shape) {
  Taken taken{choose(operation, problem, shape, target, table, row_device())};
  if (!options.tuner || table.find(operation, problem, shape, target, row_device())) return taken;
  taken.is_final = !is_captured();
  if (!taken.is_final) return taken;
  JitOptions asking = options;
  asking.target = std::string(target.name);
  if (device) asking.device = device->ordinal();
  asking.pins = {}, asking.tuner = nullptr;
  std::optional<RelaxedCaptureScope> relaxed;  // for a capture that the driver does not tell of
  if (device) relaxed.emplace();
  try {
    if (auto found = options.tuner(asking, operation, problem, shape)) {
      check(operation, problem, found->schedule, target);
      taken.choice = std::move(*found);
    }
  } catch (const std::exception& error) {
    log(LogLevel::warning, LogTopic::tune,
        "not tuned, the first guess is taken: " + std::string(error.what()));
  }
  return taken;
}

template <class KernelType>
const KernelType& Jit::State::get(const Problem& problem, const Schedule& schedule) {
  check(KernelType::served, problem, schedule, target);
  return get<KernelType>(problem, Choice{schedule, "given by the caller"});
}

Jit Jit::create(JitOptions options) {
  set_log_level_from_environment();
  warn_of_unknown_variables();
  return Jit(std::make_unique<State>(std::move(options)));
}

Jit::Jit(std::unique_ptr<State> state) : state_(std::move(state)) {}
Jit::Jit(Jit&&) noexcept = default;
Jit& Jit::operator=(Jit&&) noexcept = default;
Jit::~Jit() = default;

const ForwardKernel& Jit::forward(const Problem& problem, const Shape& shape) const {
  return state_->get<ForwardKernel>(problem, shape);
}

const ForwardKernel& Jit::forward(const Problem& problem, const Schedule& schedule) const {
  return state_->get<ForwardKernel>(problem, schedule);
}

const BackwardKernel& Jit::backward(const Problem& problem, const Shape& shape) const {
  return state_->get<BackwardKernel>(problem, shape);
}

const BackwardKernel& Jit::backward(const Problem& problem, const Schedule& schedule) const {
  return state_->get<BackwardKernel>(problem, schedule);
}

const AppendKernel& Jit::append(const Problem& problem, const Shape& shape) const {
  return state_->get<AppendKernel>(problem, shape);
}

const AppendKernel& Jit::append(const Problem& problem, const Schedule& schedule) const {
  return state_->get<AppendKernel>(problem, schedule);
}

const MergeKernel& Jit::merge(const Problem& problem, const Shape& shape) const {
  return state_->get<MergeKernel>(problem, shape);
}

const MergeKernel& Jit::merge(const Problem& problem, const Schedule& schedule) const {
  return state_->get<MergeKernel>(problem, schedule);
}

const Target& Jit::target() const { return state_->target; }

int Jit::device() const { return state_->device ? state_->device->ordinal() : -1; }

std::string_view version() { return STREAMATTN_VERSION; }

}  // namespace streamattn
