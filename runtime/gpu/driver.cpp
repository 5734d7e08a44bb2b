// Loading libcuda, and the meaning of its error codes.
#include "runtime/gpu/driver.h"

#include <dlfcn.h>
#include <link.h>

#include <cerrno>
#include <new>
#include <optional>
#include <string>

#include <llvm/Support/FormatVariadic.h>

#include "streamattn/error.h"

namespace streamattn {
namespace {

constexpr const char* how_to_get_a_driver =
    "install NVIDIA's driver 550 (CUDA 12.4) or newer; in a container, start it with the GPU "
    "(docker run --gpus all)";

struct Meaning {
  CUresult result;
  ErrorCode code;
  const char* advice;
};

constexpr const char* broken_context =
    "the context is broken: every later call on it fails until the process ends";
constexpr const char* refused_binary = "the binary does not suit the device or is damaged";
constexpr const char* lost_device = "the device is lost: restart the process, or reset the device";
constexpr const char* capture = "a stream is being captured into a graph";

/// Results that are not a plain refused call.
constexpr Meaning meanings[] = {
    {CUDA_ERROR_NOT_INITIALIZED, ErrorCode::no_driver,
     "a process forked after CUDA was initialised cannot use it"},
    {CUDA_ERROR_STUB_LIBRARY, ErrorCode::no_driver,
     "this libcuda is the toolkit's stub, not a driver: remove .../stubs from LD_LIBRARY_PATH"},
    {CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER, ErrorCode::no_driver, how_to_get_a_driver},
    {CUDA_ERROR_SYSTEM_NOT_READY, ErrorCode::no_driver,
     "a service the device needs is not running, such as the NVLink fabric manager"},
    {CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, ErrorCode::no_driver,
     "libcuda and the kernel module are of different versions: restart the machine"},
    {CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE, ErrorCode::no_driver,
     "the forward-compatibility libcuda does not support this device: take it off LD_LIBRARY_PATH"},
    {CUDA_ERROR_DEVICE_UNAVAILABLE, ErrorCode::no_device, "another process has the device"},
    {CUDA_ERROR_NO_DEVICE, ErrorCode::no_device,
     "the driver sees no GPU; look at nvidia-smi and CUDA_VISIBLE_DEVICES"},
    {CUDA_ERROR_INVALID_DEVICE, ErrorCode::no_device, "there is no device of this number"},
    {CUDA_ERROR_INVALID_IMAGE, ErrorCode::load_failed, refused_binary},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, ErrorCode::load_failed, refused_binary},
    {CUDA_ERROR_INVALID_PTX, ErrorCode::load_failed, refused_binary},
    {CUDA_ERROR_UNSUPPORTED_PTX_VERSION, ErrorCode::load_failed, refused_binary},
    {CUDA_ERROR_INVALID_SOURCE, ErrorCode::load_failed, refused_binary},
    {CUDA_ERROR_NOT_FOUND, ErrorCode::load_failed, "the binary does not hold what was asked for"},
    {CUDA_ERROR_OUT_OF_MEMORY, ErrorCode::launch_failed, "the device has no memory left"},
    {CUDA_ERROR_ECC_UNCORRECTABLE, ErrorCode::launch_failed, lost_device},
    {CUDA_ERROR_NVLINK_UNCORRECTABLE, ErrorCode::launch_failed, lost_device},
    {CUDA_ERROR_CONTAINED, ErrorCode::launch_failed, lost_device},
    {CUDA_ERROR_ILLEGAL_ADDRESS, ErrorCode::launch_failed, broken_context},
    {CUDA_ERROR_LAUNCH_TIMEOUT, ErrorCode::launch_failed, broken_context},
    {CUDA_ERROR_ASSERT, ErrorCode::launch_failed, broken_context},
    {CUDA_ERROR_HARDWARE_STACK_ERROR, ErrorCode::launch_failed, broken_context},
    {CUDA_ERROR_ILLEGAL_INSTRUCTION, ErrorCode::launch_failed, broken_context},
    {CUDA_ERROR_MISALIGNED_ADDRESS, ErrorCode::launch_failed, broken_context},
    {CUDA_ERROR_INVALID_ADDRESS_SPACE, ErrorCode::launch_failed, broken_context},
    {CUDA_ERROR_INVALID_PC, ErrorCode::launch_failed, broken_context},
    {CUDA_ERROR_LAUNCH_FAILED, ErrorCode::launch_failed, broken_context},
    {CUDA_ERROR_TENSOR_MEMORY_LEAK, ErrorCode::launch_failed, broken_context},
    {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, ErrorCode::launch_failed, capture},
    {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, ErrorCode::launch_failed, capture},
    {CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, ErrorCode::launch_failed, capture},
};

Meaning meaning_of(CUresult result) {
  for (const Meaning& meaning : meanings) {
    if (meaning.result == result) return meaning;
  }
  return {result, ErrorCode::launch_failed, "the call was refused"};
}

[[noreturn]] void refuse(const std::string& library, const std::string& complaint) {
  throw Error(ErrorCode::no_driver,
              llvm::formatv("no usable NVIDIA driver: {0}: {1}", library, complaint));
}

std::string path_of(void* handle) {
  link_map* map = nullptr;
  return dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 ? map->l_name : std::string();
}

using GetProcAddress = CUresult (*)(const char* symbol, void** entry, int cuda_version,
                                    std::uint64_t flags, int* status);

/// Entries come from cuGetProcAddress, never from dlsym: an unversioned symbol changes its
/// signature from one CUDA release to the next.
void resolve_entries(Driver& driver, GetProcAddress get, const std::string& library) {
  const auto resolve = [&](auto& entry, const char* name) {
    void* address = nullptr;
    const CUresult result = get(name, &address, driver_abi_version, 0, nullptr);
    if (result != CUDA_SUCCESS || !address) {
      refuse(library, llvm::formatv("it has no {0}; {1}", name, how_to_get_a_driver));
    }
    entry = reinterpret_cast<std::remove_reference_t<decltype(entry)>>(address);
  };
#define RESOLVE(name) resolve(driver.name, #name)
  RESOLVE(cuInit);
  RESOLVE(cuDriverGetVersion);
  RESOLVE(cuGetErrorName);
  RESOLVE(cuGetErrorString);
  RESOLVE(cuDeviceGetCount);
  RESOLVE(cuDeviceGet);
  RESOLVE(cuDeviceGetName);
  RESOLVE(cuDeviceGetAttribute);
  RESOLVE(cuDeviceGetUuid);
  RESOLVE(cuDeviceTotalMem);
  RESOLVE(cuDevicePrimaryCtxRetain);
  RESOLVE(cuDevicePrimaryCtxRelease);
  RESOLVE(cuCtxPushCurrent);
  RESOLVE(cuCtxPopCurrent);
  RESOLVE(cuCtxGetCurrent);
  RESOLVE(cuCtxSetCurrent);
  RESOLVE(cuCtxGetDevice);
  RESOLVE(cuCtxSynchronize);
  RESOLVE(cuMemAlloc);
  RESOLVE(cuMemFree);
  RESOLVE(cuMemGetInfo);
  RESOLVE(cuMemHostAlloc);
  RESOLVE(cuMemFreeHost);
  RESOLVE(cuMemcpyHtoD);
  RESOLVE(cuMemcpyDtoH);
  RESOLVE(cuMemcpyHtoDAsync);
  RESOLVE(cuMemcpyDtoHAsync);
  RESOLVE(cuMemcpyDtoDAsync);
  RESOLVE(cuMemsetD8Async);
  RESOLVE(cuMemsetD32Async);
  RESOLVE(cuStreamCreate);
  RESOLVE(cuStreamDestroy);
  RESOLVE(cuStreamSynchronize);
  RESOLVE(cuStreamWaitEvent);
  RESOLVE(cuStreamGetCtx);
  RESOLVE(cuStreamIsCapturing);
  RESOLVE(cuStreamBeginCapture);
  RESOLVE(cuStreamEndCapture);
  RESOLVE(cuThreadExchangeStreamCaptureMode);
  RESOLVE(cuEventCreate);
  RESOLVE(cuEventDestroy);
  RESOLVE(cuEventRecord);
  RESOLVE(cuEventSynchronize);
  RESOLVE(cuEventElapsedTime);
  RESOLVE(cuGraphInstantiateWithFlags);
  RESOLVE(cuGraphLaunch);
  RESOLVE(cuGraphDestroy);
  RESOLVE(cuGraphExecDestroy);
  RESOLVE(cuLibraryLoadData);
  RESOLVE(cuLibraryUnload);
  RESOLVE(cuLibraryGetKernel);
  RESOLVE(cuKernelSetAttribute);
  RESOLVE(cuKernelGetFunction);
  RESOLVE(cuKernelGetParamInfo);
  RESOLVE(cuFuncLoad);
  RESOLVE(cuFuncGetAttribute);
  RESOLVE(cuLaunchKernelEx);
  RESOLVE(cuTensorMapEncodeTiled);
#undef RESOLVE
}

/// The driver of this process, or why there is none.
struct Loaded {
  std::optional<Driver> driver;
  std::optional<Error> error;
};

const Loaded& loaded() {
  static const Loaded result = []() -> Loaded {
    try {
      return {load_driver("libcuda.so.1"), std::nullopt};
    } catch (const Error& error) {
      return {std::nullopt, error};
    }
  }();
  return result;
}

}  // namespace

Driver load_driver(const char* library) {
  errno = 0;
  void* handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!handle && errno == ENOMEM) throw std::bad_alloc();  // there may be one all the same
  if (!handle) refuse(dlerror(), how_to_get_a_driver);
  const std::string path = path_of(handle);
  // These two have had one signature in every release; the second is there since CUDA 12.0.
  const auto version_of = reinterpret_cast<CUresult (*)(int*)>(dlsym(handle, "cuDriverGetVersion"));
  const auto get = reinterpret_cast<GetProcAddress>(dlsym(handle, "cuGetProcAddress_v2"));
  int version = 0;
  const CUresult known = version_of ? version_of(&version) : CUDA_SUCCESS;
  if (known == CUDA_ERROR_STUB_LIBRARY) refuse(path, meaning_of(known).advice);
  if (!get || version < driver_abi_version) {
    refuse(path, llvm::formatv("it is too old, for CUDA {0}.{1}; {2}", version / 1000,
                               version % 1000 / 10, how_to_get_a_driver));
  }
  Driver driver{};
  resolve_entries(driver, get, path);
  if (const CUresult result = driver.cuInit(0); result != CUDA_SUCCESS) {
    throw_driver_error(driver, result, "initialising CUDA");
  }
  return driver;
}

const Driver& driver() {
  if (loaded().error) throw *loaded().error;
  return *loaded().driver;
}

const Driver* try_driver() { return loaded().driver ? &*loaded().driver : nullptr; }

void throw_driver_error(const Driver& driver, CUresult result, const char* what) {
  const char* name = nullptr;
  const char* text = nullptr;
  if (driver.cuGetErrorName(result, &name) != CUDA_SUCCESS) name = "unknown error";
  if (driver.cuGetErrorString(result, &text) != CUDA_SUCCESS) text = "no description";
  const Meaning meaning = meaning_of(result);
  throw Error(meaning.code, llvm::formatv("{0}: {1} ({2}, {3}); {4}", what, text, name,
                                          static_cast<int>(result), meaning.advice));
}

int device_attribute(CUdevice device, CUdevice_attribute which) {
  int value = 0;
  check(driver().cuDeviceGetAttribute(&value, which, device), "reading a device attribute");
  return value;
}

}  // namespace streamattn
