// Memory and a stopwatch for one target: what the tools need beside a kernel.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "measure/timing_policy.h"
#include "streamattn/forward.h"

namespace streamattn {

/// Memory that kernels of one target can reach; freed with the last owner. Must not outlive the
/// workbench it comes from.
using Memory = std::shared_ptr<void>;

/// Enqueues one call on a stream.
using Enqueue = std::function<void(Stream)>;

/// A place to run kernels: the host CPU or a CUDA device.
class Workbench {
 public:
  virtual ~Workbench() = default;

  /// What it is, such as "NVIDIA H200" or "CPU, 16 threads".
  virtual std::string name() const = 0;

  virtual Memory allocate(std::size_t bytes) = 0;
  virtual void upload(void* to, const void* from, std::size_t bytes) = 0;
  virtual void download(void* to, const void* from, std::size_t bytes) = 0;
  virtual void fill(void* to, unsigned char value, std::size_t bytes) = 0;

  /// Runs `enqueue` once and waits for it.
  virtual void run(const Enqueue& enqueue) = 0;

  /// How time() measures.
  virtual TimingPolicy policy() const = 0;

  /// What to give time() for `enqueue`, as often as wanted: itself, or what replays the graph that
  /// it was captured into.
  virtual Enqueue prepared(const Enqueue& enqueue) = 0;

  /// Milliseconds of each of `runs` calls. On a GPU: by events; for a cold L2 256 MB are written
  /// before each call, for a warm one a call runs first that does not count. On the CPU: by the
  /// wall clock, one call after the other.
  virtual std::vector<double> time(const Enqueue& enqueue, int runs) = 0;

  /// What time() spends per call beside the call.
  virtual double overhead_milliseconds() const = 0;
};

std::unique_ptr<Workbench> cpu_workbench();

/// For the CUDA device `ordinal`, timed as `policy` says; its primary context is current on this
/// thread until the workbench is destroyed, which must happen on the same thread. Throws Error
/// (no_driver, no_device, launch_failed).
std::unique_ptr<Workbench> gpu_workbench(int ordinal, const TimingPolicy& policy = {});

/// The one that serves a Jit's device; -1 is the CPU. Throws Error (invalid_argument) for a wish
/// that the CPU cannot fulfil: its caches are warm, and it has no graphs.
std::unique_ptr<Workbench> workbench_for(int device, const TimingWish& wish = {});

}  // namespace streamattn
