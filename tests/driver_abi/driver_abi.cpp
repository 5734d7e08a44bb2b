// Our declarations of the CUDA driver's interface equal those of the real headers: values, layouts,
// and the signature of every entry in the version that runtime/gpu/driver.cpp asks for.
#include "runtime/gpu/driver.h"

#define __CUDA_API_VERSION_INTERNAL  // else cuda.h has macros with the names of entries
#include <cuda.h>
#include <cudaTypedefs.h>

#include <type_traits>

namespace {

/// Whether values of the two types are passed alike: pointers to anything are, and so are an
/// enumeration and its integer.
template <class Ours, class Theirs>
constexpr bool passed_alike =
    sizeof(Ours) == sizeof(Theirs) && std::is_pointer_v<Ours> == std::is_pointer_v<Theirs> &&
    std::is_floating_point_v<Ours> == std::is_floating_point_v<Theirs>;

template <class Ours, class Theirs>
constexpr bool same_signature = false;

template <class... Ours, class... Theirs>
  requires(sizeof...(Ours) == sizeof...(Theirs))
constexpr bool same_signature<streamattn::CUresult (*)(Ours...), ::CUresult (*)(Theirs...)> =
    (passed_alike<Ours, Theirs> && ...);

#define SAME_ENTRY(name, version) \
  static_assert(same_signature<decltype(streamattn::Driver::name), PFN_##name##_v##version>)

SAME_ENTRY(cuInit, 2000);
SAME_ENTRY(cuDriverGetVersion, 2020);
SAME_ENTRY(cuGetErrorName, 6000);
SAME_ENTRY(cuGetErrorString, 6000);
SAME_ENTRY(cuDeviceGetCount, 2000);
SAME_ENTRY(cuDeviceGet, 2000);
SAME_ENTRY(cuDeviceGetName, 2000);
SAME_ENTRY(cuDeviceGetAttribute, 2000);
SAME_ENTRY(cuDeviceGetUuid, 11040);
SAME_ENTRY(cuDeviceTotalMem, 3020);
SAME_ENTRY(cuDevicePrimaryCtxRetain, 7000);
SAME_ENTRY(cuDevicePrimaryCtxRelease, 11000);
SAME_ENTRY(cuCtxPushCurrent, 4000);
SAME_ENTRY(cuCtxPopCurrent, 4000);
SAME_ENTRY(cuCtxGetCurrent, 4000);
SAME_ENTRY(cuCtxSetCurrent, 4000);
SAME_ENTRY(cuCtxGetDevice, 2000);
SAME_ENTRY(cuCtxSynchronize, 2000);
SAME_ENTRY(cuMemAlloc, 3020);
SAME_ENTRY(cuMemFree, 3020);
SAME_ENTRY(cuMemGetInfo, 3020);
SAME_ENTRY(cuMemHostAlloc, 2020);
SAME_ENTRY(cuMemFreeHost, 2000);
SAME_ENTRY(cuMemcpyHtoD, 3020);
SAME_ENTRY(cuMemcpyDtoH, 3020);
SAME_ENTRY(cuMemcpyHtoDAsync, 3020);
SAME_ENTRY(cuMemcpyDtoHAsync, 3020);
SAME_ENTRY(cuMemcpyDtoDAsync, 3020);
SAME_ENTRY(cuMemsetD8Async, 3020);
SAME_ENTRY(cuMemsetD32Async, 3020);
SAME_ENTRY(cuStreamCreate, 2000);
SAME_ENTRY(cuStreamDestroy, 4000);
SAME_ENTRY(cuStreamSynchronize, 2000);
SAME_ENTRY(cuStreamWaitEvent, 3020);
SAME_ENTRY(cuStreamGetCtx, 9020);
SAME_ENTRY(cuStreamIsCapturing, 10000);
SAME_ENTRY(cuStreamBeginCapture, 10010);
SAME_ENTRY(cuStreamEndCapture, 10000);
SAME_ENTRY(cuThreadExchangeStreamCaptureMode, 10010);
SAME_ENTRY(cuEventCreate, 2000);
SAME_ENTRY(cuEventDestroy, 4000);
SAME_ENTRY(cuEventRecord, 2000);
SAME_ENTRY(cuEventSynchronize, 2000);
SAME_ENTRY(cuEventElapsedTime, 2000);
SAME_ENTRY(cuGraphInstantiateWithFlags, 11040);
SAME_ENTRY(cuGraphLaunch, 10000);
SAME_ENTRY(cuGraphDestroy, 10000);
SAME_ENTRY(cuGraphExecDestroy, 10000);
SAME_ENTRY(cuLibraryLoadData, 12000);
SAME_ENTRY(cuLibraryUnload, 12000);
SAME_ENTRY(cuLibraryGetKernel, 12000);
SAME_ENTRY(cuKernelSetAttribute, 12000);
SAME_ENTRY(cuKernelGetFunction, 12000);
SAME_ENTRY(cuKernelGetParamInfo, 12040);
SAME_ENTRY(cuFuncLoad, 12040);
SAME_ENTRY(cuFuncGetAttribute, 2020);
SAME_ENTRY(cuLaunchKernelEx, 11060);
SAME_ENTRY(cuTensorMapEncodeTiled, 12000);

#define SAME_VALUE(name) \
  static_assert(static_cast<long long>(streamattn::name) == static_cast<long long>(::name))

SAME_VALUE(CUDA_SUCCESS);
SAME_VALUE(CUDA_ERROR_INVALID_VALUE);
SAME_VALUE(CUDA_ERROR_OUT_OF_MEMORY);
SAME_VALUE(CUDA_ERROR_NOT_INITIALIZED);
SAME_VALUE(CUDA_ERROR_STUB_LIBRARY);
SAME_VALUE(CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER);
SAME_VALUE(CUDA_ERROR_DEVICE_UNAVAILABLE);
SAME_VALUE(CUDA_ERROR_NO_DEVICE);
SAME_VALUE(CUDA_ERROR_INVALID_DEVICE);
SAME_VALUE(CUDA_ERROR_INVALID_IMAGE);
SAME_VALUE(CUDA_ERROR_INVALID_CONTEXT);
SAME_VALUE(CUDA_ERROR_NO_BINARY_FOR_GPU);
SAME_VALUE(CUDA_ERROR_ECC_UNCORRECTABLE);
SAME_VALUE(CUDA_ERROR_INVALID_PTX);
SAME_VALUE(CUDA_ERROR_NVLINK_UNCORRECTABLE);
SAME_VALUE(CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
SAME_VALUE(CUDA_ERROR_CONTAINED);
SAME_VALUE(CUDA_ERROR_INVALID_SOURCE);
SAME_VALUE(CUDA_ERROR_NOT_FOUND);
SAME_VALUE(CUDA_ERROR_ILLEGAL_ADDRESS);
SAME_VALUE(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
SAME_VALUE(CUDA_ERROR_LAUNCH_TIMEOUT);
SAME_VALUE(CUDA_ERROR_ASSERT);
SAME_VALUE(CUDA_ERROR_HARDWARE_STACK_ERROR);
SAME_VALUE(CUDA_ERROR_ILLEGAL_INSTRUCTION);
SAME_VALUE(CUDA_ERROR_MISALIGNED_ADDRESS);
SAME_VALUE(CUDA_ERROR_INVALID_ADDRESS_SPACE);
SAME_VALUE(CUDA_ERROR_INVALID_PC);
SAME_VALUE(CUDA_ERROR_LAUNCH_FAILED);
SAME_VALUE(CUDA_ERROR_TENSOR_MEMORY_LEAK);
SAME_VALUE(CUDA_ERROR_SYSTEM_NOT_READY);
SAME_VALUE(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH);
SAME_VALUE(CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE);
SAME_VALUE(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
SAME_VALUE(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
SAME_VALUE(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
SAME_VALUE(CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
SAME_VALUE(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
SAME_VALUE(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
SAME_VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
SAME_VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
SAME_VALUE(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
SAME_VALUE(CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
SAME_VALUE(CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
SAME_VALUE(CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES);
SAME_VALUE(CU_FUNC_ATTRIBUTE_NUM_REGS);
SAME_VALUE(CU_FUNC_ATTRIBUTE_BINARY_VERSION);
SAME_VALUE(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
SAME_VALUE(CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED);
SAME_VALUE(CU_LIBRARY_BINARY_IS_PRESERVED);
SAME_VALUE(CU_STREAM_CAPTURE_STATUS_NONE);
SAME_VALUE(CU_STREAM_CAPTURE_STATUS_ACTIVE);
SAME_VALUE(CU_STREAM_CAPTURE_STATUS_INVALIDATED);
SAME_VALUE(CU_STREAM_CAPTURE_MODE_GLOBAL);
SAME_VALUE(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
SAME_VALUE(CU_STREAM_CAPTURE_MODE_RELAXED);
SAME_VALUE(CU_STREAM_DEFAULT);
SAME_VALUE(CU_STREAM_NON_BLOCKING);
SAME_VALUE(CU_EVENT_DEFAULT);
SAME_VALUE(CU_EVENT_DISABLE_TIMING);
SAME_VALUE(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
SAME_VALUE(CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
SAME_VALUE(CU_TENSOR_MAP_DATA_TYPE_UINT8);
SAME_VALUE(CU_TENSOR_MAP_DATA_TYPE_FLOAT16);
SAME_VALUE(CU_TENSOR_MAP_DATA_TYPE_FLOAT32);
SAME_VALUE(CU_TENSOR_MAP_DATA_TYPE_BFLOAT16);
SAME_VALUE(CU_TENSOR_MAP_INTERLEAVE_NONE);
SAME_VALUE(CU_TENSOR_MAP_SWIZZLE_NONE);
SAME_VALUE(CU_TENSOR_MAP_SWIZZLE_32B);
SAME_VALUE(CU_TENSOR_MAP_SWIZZLE_64B);
SAME_VALUE(CU_TENSOR_MAP_SWIZZLE_128B);
SAME_VALUE(CU_TENSOR_MAP_L2_PROMOTION_NONE);
SAME_VALUE(CU_TENSOR_MAP_L2_PROMOTION_L2_128B);
SAME_VALUE(CU_TENSOR_MAP_L2_PROMOTION_L2_256B);
SAME_VALUE(CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);

#define SAME_LAYOUT(type)                                     \
  static_assert(sizeof(streamattn::type) == sizeof(::type) && \
                alignof(streamattn::type) == alignof(::type))
#define SAME_OFFSET(type, field) \
  static_assert(offsetof(streamattn::type, field) == offsetof(::type, field))

static_assert(sizeof(streamattn::TensorMap) == sizeof(::CUtensorMap));
// The interface asks for 64 bytes; CUDA 13's own type has 128, earlier ones had 64.
static_assert(alignof(streamattn::TensorMap) >= 64);
SAME_LAYOUT(CUdevice);
SAME_LAYOUT(CUdeviceptr);
SAME_LAYOUT(CUuuid);
SAME_LAYOUT(CUlaunchAttributeValue);
SAME_OFFSET(CUlaunchAttributeValue, clusterDim);
SAME_OFFSET(CUlaunchAttributeValue, programmaticStreamSerializationAllowed);
SAME_LAYOUT(CUlaunchAttribute);
SAME_OFFSET(CUlaunchAttribute, id);
SAME_OFFSET(CUlaunchAttribute, value);
SAME_LAYOUT(CUlaunchConfig);
SAME_OFFSET(CUlaunchConfig, gridDimX);
SAME_OFFSET(CUlaunchConfig, gridDimY);
SAME_OFFSET(CUlaunchConfig, gridDimZ);
SAME_OFFSET(CUlaunchConfig, blockDimX);
SAME_OFFSET(CUlaunchConfig, blockDimY);
SAME_OFFSET(CUlaunchConfig, blockDimZ);
SAME_OFFSET(CUlaunchConfig, sharedMemBytes);
SAME_OFFSET(CUlaunchConfig, hStream);
SAME_OFFSET(CUlaunchConfig, attrs);
SAME_OFFSET(CUlaunchConfig, numAttrs);

}  // namespace
