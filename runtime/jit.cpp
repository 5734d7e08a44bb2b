// The front door: memory over choose, emit, compile and load.
#include "streamattn/jit.h"

#include <llvm/ADT/Hashing.h>
#include <llvm/Support/FormatVariadic.h>

#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "compiler/toolchain/nvrtc.h"
#include "runtime/cache/kernel_cache.h"
#include "runtime/cpu/kernel.h"
#include "runtime/gpu/gpu_kernel.h"
#include "support/environment.h"
#include "support/log.h"

namespace streamattn {
namespace {

struct Request {
  Problem problem;
  Shape shape;
  friend bool operator==(const Request&, const Request&) = default;
};

struct RequestHash {
  std::size_t operator()(const Request& r) const {
    const Problem& p = r.problem;
    return llvm::hash_combine(p.dtype, p.output_dtype(), p.head_dim, p.v_head_dim(), p.group_size,
                              p.mask.text(), r.shape.batch, r.shape.kv_heads, r.shape.q_len,
                              r.shape.kv_len);
  }
};

// The device to run on; null for the CPU, also where there is no GPU and none was asked for.
GpuDevice* find_device(const JitOptions& options) {
  if (options.target && find_target(*options.target).is_cpu) return nullptr;
  bool wanted = options.target || options.device;
  if (!wanted && !try_driver()) return nullptr;
  GpuDevice& device = GpuDevice::get(options.device);
  if (options.target && *options.target != device.architecture())
    throw Error(ErrorCode::no_device,
                llvm::formatv("target {0} was asked for, device {1} ({2}) is {3}", *options.target,
                              device.ordinal(), device.device_name(), device.architecture()));
  return &device;
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

  const Kernel& find(const Request& request);
  const Kernel& get(const Problem& problem, const Choice& choice);
  std::unique_ptr<Kernel> build(const Problem& problem, const Choice& choice);

  const JitOptions options;
  GpuDevice* const device;
  const Target& target;
  ScheduleTable table;
  KernelCache cache;

  // Answers already given. It only saves work, so it is emptied when lengths without end fill it.
  static constexpr std::size_t most_answers = 1 << 16;
  std::shared_mutex answers_mutex;
  std::unordered_map<Request, const Kernel*, RequestHash> answers;

  // Every kernel by problem and schedule. A thread that finds a future waits for the builder.
  std::mutex kernels_mutex;
  std::map<std::string, std::shared_future<std::unique_ptr<Kernel>>> kernels;
};

const Kernel& Jit::State::find(const Request& request) {
  {
    std::shared_lock lock(answers_mutex);
    if (auto found = answers.find(request); found != answers.end()) return *found->second;
  }
  const Kernel& kernel =
      get(request.problem, choose(request.problem, request.shape, target, table));
  std::unique_lock lock(answers_mutex);
  if (answers.size() >= most_answers) answers.clear();
  answers.emplace(request, &kernel);
  return kernel;
}

const Kernel& Jit::State::get(const Problem& problem, const Choice& choice) {
  std::string key = problem.describe() + "; " + choice.schedule.describe();
  std::promise<std::unique_ptr<Kernel>> promise;
  std::shared_future<std::unique_ptr<Kernel>> future;
  bool builds = false;
  {
    std::lock_guard lock(kernels_mutex);
    auto [entry, inserted] = kernels.try_emplace(key);
    if (inserted) entry->second = promise.get_future().share();
    builds = inserted;
    future = entry->second;
  }
  if (builds) {
    try {
      promise.set_value(build(problem, choice));
    } catch (...) {
      promise.set_exception(std::current_exception());
      std::lock_guard lock(kernels_mutex);
      kernels.erase(key);  // the next caller tries again
    }
  }
  return *future.get();
}

std::unique_ptr<Kernel> Jit::State::build(const Problem& problem, const Choice& choice) {
  if (!device) return std::make_unique<CpuKernel>(problem, choice, target);
  Source source = emit(problem, choice.schedule, target, {options.template_dir});
  Provenance provenance{compile_options(target), compiler_identity()};
  KernelKey key = kernel_key(source, provenance.options, provenance.compiler);
  bool compiled = false;
  Binary binary = cache.find_or_compile(key, source, provenance, [&] {
    compiled = true;
    return compile(source);
  });
  for (const std::string& advisory : binary.advisories)
    log(LogLevel::warning, LogTopic::compile, problem.describe() + ": " + advisory);
  return std::make_unique<GpuKernel>(problem, choice, target, binary, !compiled, *device);
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

const Kernel& Jit::forward(const Problem& problem, const Shape& shape) const {
  return state_->find({problem, shape});
}

const Kernel& Jit::forward(const Problem& problem, const Schedule& schedule) const {
  check(problem, schedule, state_->target);
  return state_->get(problem, {schedule, "given by the caller"});
}

const Target& Jit::target() const { return state_->target; }

int Jit::device() const { return state_->device ? state_->device->ordinal() : -1; }

std::string_view version() { return STREAMATTN_VERSION; }

}  // namespace streamattn
