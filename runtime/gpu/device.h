// One CUDA context and what every kernel loaded into it shares.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "runtime/gpu/driver.h"

namespace streamattn {

/// A device through one context. Lives until the process ends: captured graphs hold addresses of
/// its words and nobody can tell when they are gone.
class GpuDevice {
 public:
  /// The device of the calling thread's current context, with that context; without one, device
  /// `ordinal` (0 where not given) with its primary context. Throws Error (no_driver, no_device).
  static GpuDevice& get(std::optional<int> ordinal = {});

  GpuDevice(const GpuDevice&) = delete;
  GpuDevice& operator=(const GpuDevice&) = delete;

  int ordinal() const { return ordinal_; }
  CUcontext context() const { return context_; }
  int sms() const { return sms_; }
  std::int64_t l2_bytes() const { return l2_bytes_; }
  const std::string& device_name() const { return name_; }

  /// The target's name: "sm_90a" for compute capability 9.0.
  const std::string& architecture() const { return architecture_; }

  /// Zero words in device memory for one launch on `stream`, which leaves them zero. A launch into
  /// a capture gets words of its own for good; null where these have run out. Others share a ring
  /// far longer than the launches that a device can run at a time.
  unsigned* zero_words(CUstream stream, int count);

 private:
  GpuDevice(int ordinal, CUcontext context);

  static constexpr unsigned ring_length = 1 << 18, captured_length = 1 << 22;

  int ordinal_;
  CUcontext context_;
  int sms_ = 0;
  std::int64_t l2_bytes_ = 0;
  std::string name_, architecture_;
  CUdeviceptr words_ = 0;  // (ring_length + captured_length) unsigned, zero between launches
  std::atomic<unsigned> next_in_ring_ = 0, captured_ = 0;
};

/// Whether a stream is being captured that the default one would wait for, as far as the driver
/// says. The device's context must be current.
bool is_any_stream_captured();

/// Makes a context current while it lives.
class ContextScope {
 public:
  explicit ContextScope(CUcontext context) {
    CUcontext current = nullptr;
    check(driver().cuCtxGetCurrent(&current), "cuCtxGetCurrent");
    if (current == context) return;
    check(driver().cuCtxPushCurrent(context), "cuCtxPushCurrent");
    pushed_ = true;
  }
  ~ContextScope() {
    CUcontext popped;
    if (pushed_) driver().cuCtxPopCurrent(&popped);
  }
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  bool pushed_ = false;
};

/// Lets the calling thread load and allocate while another stream of the process is captured.
class RelaxedCaptureScope {
 public:
  RelaxedCaptureScope() { driver().cuThreadExchangeStreamCaptureMode(&mode_); }
  ~RelaxedCaptureScope() { driver().cuThreadExchangeStreamCaptureMode(&mode_); }
  RelaxedCaptureScope(const RelaxedCaptureScope&) = delete;
  RelaxedCaptureScope& operator=(const RelaxedCaptureScope&) = delete;

 private:
  CUstreamCaptureMode mode_ = CU_STREAM_CAPTURE_MODE_RELAXED;
};

}  // namespace streamattn
