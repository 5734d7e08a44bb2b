// Devices by context.
#include "runtime/gpu/device.h"

#include <llvm/Support/FormatVariadic.h>

#include <map>
#include <memory>
#include <mutex>

#include "streamattn/error.h"
#include "support/log.h"

namespace streamattn {
namespace {

CUdevice find_device(int ordinal) {
  int count = 0;
  check(driver().cuDeviceGetCount(&count), "cuDeviceGetCount");
  if (ordinal < 0 || ordinal >= count)
    throw Error(ErrorCode::no_device,
                llvm::formatv("there is no CUDA device {0}; the driver shows {1}", ordinal, count));
  CUdevice device = 0;
  check(driver().cuDeviceGet(&device, ordinal), "cuDeviceGet");
  return device;
}

// The current context if it is on the wanted device.
CUcontext current_context(std::optional<int> ordinal, CUdevice& device) {
  CUcontext context = nullptr;
  check(driver().cuCtxGetCurrent(&context), "cuCtxGetCurrent");
  if (!context) return nullptr;
  check(driver().cuCtxGetDevice(&device), "cuCtxGetDevice");
  return !ordinal || *ordinal == device ? context : nullptr;
}

}  // namespace

GpuDevice& GpuDevice::get(std::optional<int> ordinal) {
  CUdevice device = 0;
  CUcontext context = current_context(ordinal, device);
  if (!context) {
    device = find_device(ordinal.value_or(0));
    check(driver().cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
  }
  static std::mutex mutex;
  static auto& devices = *new std::map<CUcontext, std::unique_ptr<GpuDevice>>;
  std::lock_guard lock(mutex);
  auto& found = devices[context];
  if (!found) found.reset(new GpuDevice(device, context));
  return *found;
}

GpuDevice::GpuDevice(int ordinal, CUcontext context) : ordinal_(ordinal), context_(context) {
  sms_ = device_attribute(ordinal, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  l2_bytes_ = device_attribute(ordinal, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
  char name[256] = "";
  check(driver().cuDeviceGetName(name, sizeof name, ordinal), "cuDeviceGetName");
  name_ = name;
  int major = device_attribute(ordinal, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  int minor = device_attribute(ordinal, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  // From Hopper on, a chip's own instructions need the suffix.
  architecture_ = llvm::formatv("sm_{0}{1}{2}", major, minor, major >= 9 ? "a" : "");

  ContextScope scope(context_);
  RelaxedCaptureScope relaxed;
  std::size_t bytes = sizeof(unsigned) * (ring_length + captured_length);
  check(driver().cuMemAlloc(&words_, bytes), "cuMemAlloc of zero words");
  check(driver().cuMemsetD8Async(words_, 0, bytes, nullptr), "cuMemsetD8Async");
  check(driver().cuStreamSynchronize(nullptr), "cuStreamSynchronize");
}

unsigned* GpuDevice::zero_words(CUstream stream, int count) {
  const auto wanted = static_cast<unsigned>(count);
  auto* words = reinterpret_cast<unsigned*>(words_);
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  check(driver().cuStreamIsCapturing(stream, &status), "cuStreamIsCapturing");
  if (status == CU_STREAM_CAPTURE_STATUS_NONE) {
    unsigned index = 0;
    do index = next_in_ring_.fetch_add(wanted, std::memory_order_relaxed) % ring_length;
    while (index + wanted > ring_length);  // they lie together
    return words + index;
  }
  unsigned index = captured_.fetch_add(wanted, std::memory_order_relaxed);
  if (index + wanted <= captured_length) return words + ring_length + index;
  captured_.store(captured_length, std::memory_order_relaxed);  // keep it from wrapping round
  log_once(LogLevel::warning, LogTopic::launch,
           "the zero words for captured launches have run out: further ones do without");
  return nullptr;
}

bool is_any_stream_captured() {
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  const CUresult result = driver().cuStreamIsCapturing(nullptr, &status);
  return result != CUDA_SUCCESS || status != CU_STREAM_CAPTURE_STATUS_NONE;
}

}  // namespace streamattn
