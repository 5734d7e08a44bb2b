// The CUDA driver, reached through libcuda at run time: one table of entries under CUDA's names.
#pragma once

#include "runtime/gpu/cuda_abi.h"

namespace streamattn {

/// The oldest driver that serves: CUDA 12.4 as cuDriverGetVersion spells it. It is also the version
/// whose entries cuGetProcAddress is asked for, so a newer driver cannot change a signature here.
constexpr int driver_abi_version = 12040;

/// Entries of libcuda, nothing else in it and none of them null. Every call may come from any
/// thread.
struct Driver {
  CUresult (*cuInit)(unsigned flags);
  CUresult (*cuDriverGetVersion)(int* version);
  CUresult (*cuGetErrorName)(CUresult error, const char** name);
  CUresult (*cuGetErrorString)(CUresult error, const char** text);

  CUresult (*cuDeviceGetCount)(int* count);
  CUresult (*cuDeviceGet)(CUdevice* device, int ordinal);
  CUresult (*cuDeviceGetName)(char* name, int length, CUdevice device);
  CUresult (*cuDeviceGetAttribute)(int* value, CUdevice_attribute attribute, CUdevice device);
  CUresult (*cuDeviceGetUuid)(CUuuid* uuid, CUdevice device);
  CUresult (*cuDeviceTotalMem)(std::size_t* bytes, CUdevice device);

  CUresult (*cuDevicePrimaryCtxRetain)(CUcontext* context, CUdevice device);
  CUresult (*cuDevicePrimaryCtxRelease)(CUdevice device);
  CUresult (*cuCtxPushCurrent)(CUcontext context);
  CUresult (*cuCtxPopCurrent)(CUcontext* context);
  CUresult (*cuCtxGetCurrent)(CUcontext* context);
  CUresult (*cuCtxSetCurrent)(CUcontext context);
  CUresult (*cuCtxGetDevice)(CUdevice* device);
  CUresult (*cuCtxSynchronize)();

  CUresult (*cuMemAlloc)(CUdeviceptr* pointer, std::size_t bytes);
  CUresult (*cuMemFree)(CUdeviceptr pointer);
  CUresult (*cuMemGetInfo)(std::size_t* free, std::size_t* total);
  CUresult (*cuMemHostAlloc)(void** pointer, std::size_t bytes, unsigned flags);
  CUresult (*cuMemFreeHost)(void* pointer);
  CUresult (*cuMemcpyHtoD)(CUdeviceptr to, const void* from, std::size_t bytes);
  CUresult (*cuMemcpyDtoH)(void* to, CUdeviceptr from, std::size_t bytes);
  CUresult (*cuMemcpyHtoDAsync)(CUdeviceptr to, const void* from, std::size_t bytes, CUstream);
  CUresult (*cuMemcpyDtoHAsync)(void* to, CUdeviceptr from, std::size_t bytes, CUstream);
  CUresult (*cuMemcpyDtoDAsync)(CUdeviceptr to, CUdeviceptr from, std::size_t bytes, CUstream);
  CUresult (*cuMemsetD8Async)(CUdeviceptr to, unsigned char value, std::size_t count, CUstream);
  CUresult (*cuMemsetD32Async)(CUdeviceptr to, unsigned value, std::size_t count, CUstream);

  CUresult (*cuStreamCreate)(CUstream* stream, unsigned flags);
  CUresult (*cuStreamDestroy)(CUstream stream);
  CUresult (*cuStreamSynchronize)(CUstream stream);
  CUresult (*cuStreamWaitEvent)(CUstream stream, CUevent event, unsigned flags);
  CUresult (*cuStreamGetCtx)(CUstream stream, CUcontext* context);
  CUresult (*cuStreamIsCapturing)(CUstream stream, CUstreamCaptureStatus* status);
  CUresult (*cuStreamBeginCapture)(CUstream stream, CUstreamCaptureMode mode);
  CUresult (*cuStreamEndCapture)(CUstream stream, CUgraph* graph);
  CUresult (*cuThreadExchangeStreamCaptureMode)(CUstreamCaptureMode* mode);

  CUresult (*cuEventCreate)(CUevent* event, unsigned flags);
  CUresult (*cuEventDestroy)(CUevent event);
  CUresult (*cuEventRecord)(CUevent event, CUstream stream);
  CUresult (*cuEventSynchronize)(CUevent event);
  CUresult (*cuEventElapsedTime)(float* milliseconds, CUevent start, CUevent end);

  CUresult (*cuGraphInstantiateWithFlags)(CUgraphExec* exec, CUgraph graph,
                                          unsigned long long flags);
  CUresult (*cuGraphLaunch)(CUgraphExec exec, CUstream stream);
  CUresult (*cuGraphDestroy)(CUgraph graph);
  CUresult (*cuGraphExecDestroy)(CUgraphExec exec);

  CUresult (*cuLibraryLoadData)(CUlibrary* library, const void* code, CUjit_option* jit_options,
                                void** jit_values, unsigned jit_count, CUlibraryOption* options,
                                void** values, unsigned count);
  CUresult (*cuLibraryUnload)(CUlibrary library);
  CUresult (*cuLibraryGetKernel)(CUkernel* kernel, CUlibrary library, const char* name);
  CUresult (*cuKernelSetAttribute)(CUfunction_attribute attribute, int value, CUkernel kernel,
                                   CUdevice device);
  CUresult (*cuKernelGetFunction)(CUfunction* function, CUkernel kernel);
  CUresult (*cuKernelGetParamInfo)(CUkernel kernel, std::size_t index, std::size_t* offset,
                                   std::size_t* bytes);
  CUresult (*cuFuncLoad)(CUfunction function);
  CUresult (*cuFuncGetAttribute)(int* value, CUfunction_attribute attribute, CUfunction function);
  CUresult (*cuLaunchKernelEx)(const CUlaunchConfig* config, CUfunction function, void** params,
                               void** extra);

  CUresult (*cuTensorMapEncodeTiled)(TensorMap* map, CUtensorMapDataType type, std::uint32_t rank,
                                     void* address, const std::uint64_t* dims,
                                     const std::uint64_t* strides, const std::uint32_t* box,
                                     const std::uint32_t* element_strides, CUtensorMapInterleave,
                                     CUtensorMapSwizzle, CUtensorMapL2promotion,
                                     CUtensorMapFloatOOBfill);
};

/// The driver of this machine, loaded and initialised on first use and never unloaded. Throws Error
/// (no_driver) where libcuda is missing, the toolkit's stub, or too old, and (no_device); the
/// message says how to get what is missing.
const Driver& driver();

/// The same, or null.
const Driver* try_driver();

/// Loads and initialises the driver in `library`, a file or a soname. Throws like driver(), which
/// asks for "libcuda.so.1"; tests ask for fakes.
Driver load_driver(const char* library);

/// Throws Error for `result`, which is not CUDA_SUCCESS. `what` is what was tried, in words.
[[noreturn]] void throw_driver_error(const Driver& driver, CUresult result, const char* what);

/// Throws Error unless `result` is CUDA_SUCCESS: load_failed for a refused binary, no_driver and
/// no_device where the machine is to blame, else launch_failed. The message says so when the error
/// broke the context for good.
inline void check(CUresult result, const char* what) {
  if (result != CUDA_SUCCESS) throw_driver_error(driver(), result, what);
}

/// An attribute of a device. Throws like check().
int device_attribute(CUdevice device, CUdevice_attribute which);

}  // namespace streamattn
