// The front door: a problem in, a kernel out.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "streamattn/append.h"
#include "streamattn/backward.h"
#include "streamattn/error.h"
#include "streamattn/export.h"
#include "streamattn/forward.h"
#include "streamattn/merge.h"

namespace streamattn {

struct JitOptions;

/// Finds a schedule for calls of `problem` that are about as large as `shape`; nothing, to leave it
/// at the first guess. `options` are those of the Jit that asks, with its target and its device,
/// without pins and tuner.
using ScheduleTuner = std::function<std::optional<Choice>(
    const JitOptions& options, Operation operation, const Problem& problem, const Shape& shape)>;

/// How a Jit behaves. What is not given comes from STREAMATTN_* variables, then from defaults.
struct JitOptions {
  std::optional<std::string> target = {};  ///< "cpu" for the host; default: the device's
  std::optional<int> device = {};          ///< CUDA ordinal; default: the current context's, else 0
  ScheduleTable pins = {};                 ///< rows tried before the shipped ones

  /// Use rows that were tuned on another device of the same architecture; Kernel::describe() says
  /// so.
  bool foreign_rows = false;

  /// Asked for the schedule of what no row fits, on the thread that makes the first request for it;
  /// none: the first guess is taken. tune_on_first_use() (tuning.h) gives one. Where it has no
  /// answer, or fails, which is logged, the first guess is taken, too. While a stream is captured
  /// into a graph it is not asked.
  ScheduleTuner tuner = {};

  /// Take the host CPU where the device is one that no family has kernels for. Without it that is
  /// an error that names the device and what is served.
  bool cpu_fallback = false;

  enum class CacheMode { read_write, read_only, off };
  std::optional<CacheMode> cache_mode = {};
  std::optional<std::filesystem::path> cache_dir = {};

  std::optional<std::filesystem::path> template_dir = {};  ///< device templates, while developing
};

/// Memory over four functions: choose, emit, compile, load. Thread-safe; kernels live as long as
/// the Jit. On the CPU a forked child may go on using both: docs/processes.md.
class STREAMATTN_API Jit {
 public:
  /// A front door for a CUDA device, or for the host CPU where there is none. Throws Error
  /// (no_driver, no_device, invalid_config), (no_device) also for a device that no family has
  /// kernels for, and (invalid_argument) for an unknown target or an empty cache_dir.
  static Jit create(JitOptions options = {});

  Jit(Jit&&) noexcept;
  Jit& operator=(Jit&&) noexcept;
  ~Jit();

  /// The kernel for `problem`, chosen for `shape` but good for every size. The first call for a
  /// problem may compile; a repeated one is a look-up. Two threads that ask for one kernel compile
  /// it once. Throws Error (invalid_argument, invalid_problem, unsupported_problem,
  /// invalid_schedule, nvrtc_missing, compile_failed, load_failed); nvrtc_missing only where no
  /// cached kernel fits either.
  const ForwardKernel& forward(const Problem& problem, const Shape& shape) const;

  /// The same with a schedule of the caller's.
  const ForwardKernel& forward(const Problem& problem, const Schedule& schedule) const;

  /// The backward kernel for `problem`, on the same terms.
  const BackwardKernel& backward(const Problem& problem, const Shape& shape) const;
  const BackwardKernel& backward(const Problem& problem, const Schedule& schedule) const;

  /// The kernel that appends to the caches that `problem` reads, on the same terms.
  const AppendKernel& append(const Problem& problem, const Shape& shape) const;
  const AppendKernel& append(const Problem& problem, const Schedule& schedule) const;

  /// The kernel that merges results of `problem` over shares of the keys, on the same terms.
  const MergeKernel& merge(const Problem& problem, const Shape& shape) const;
  const MergeKernel& merge(const Problem& problem, const Schedule& schedule) const;

  const Target& target() const;

  /// The CUDA ordinal; -1 on the CPU.
  int device() const;

 private:
  struct STREAMATTN_LOCAL State;
  explicit Jit(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The library's version, "0.1.0".
STREAMATTN_API std::string_view version();

}  // namespace streamattn
