// Loading and launching one kernel.
#include "runtime/gpu/loaded_kernel.h"

#include <llvm/Support/FormatVariadic.h>

#include "streamattn/error.h"

namespace streamattn {
namespace {

// The parameter block that the binary expects, held against the one that we pass.
void check_parameters(CUkernel kernel, const Source& source) {
  std::size_t offset = 0, bytes = 0;
  check(driver().cuKernelGetParamInfo(kernel, 0, &offset, &bytes), "cuKernelGetParamInfo");
  if (bytes != source.parameter_bytes)
    throw Error(ErrorCode::load_failed,
                llvm::formatv("{0} takes {1} bytes of parameters, this library passes {2}",
                              source.entry, bytes, source.parameter_bytes));
}

}  // namespace

LoadedKernel::LoadedKernel(const Source& source, const Binary& binary, bool from_cache,
                           GpuDevice& device)
    : entry_(source.entry),
      resources_(binary.resources),
      threads_(static_cast<unsigned>(source.threads)),
      cluster_(static_cast<unsigned>(source.cluster)),
      from_cache_(from_cache) {
  resources_.dynamic_smem_bytes = source.dynamic_smem_bytes;
  ContextScope scope(device.context());
  RelaxedCaptureScope relaxed;
  CUlibrary library = nullptr;
  check(driver().cuLibraryLoadData(&library, binary.cubin.data(), nullptr, nullptr, 0, nullptr,
                                   nullptr, 0),
        "cuLibraryLoadData");
  CUkernel kernel = nullptr;
  check(driver().cuLibraryGetKernel(&kernel, library, entry_.c_str()), "cuLibraryGetKernel");
  check_parameters(kernel, source);
  const auto set = [&](CUfunction_attribute attribute, int value) {
    check(driver().cuKernelSetAttribute(attribute, value, kernel, device.ordinal()),
          "cuKernelSetAttribute");
  };
  set(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, resources_.dynamic_smem_bytes);
  constexpr unsigned portable = 8;  // blocks of a cluster
  if (cluster_ > portable) set(CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1);
  check(driver().cuKernelGetFunction(&function_, kernel), "cuKernelGetFunction");
  check(driver().cuFuncLoad(function_), "cuFuncLoad");
}

void LoadedKernel::launch(unsigned blocks, const void* parameters, bool overlaps_previous,
                          CUstream stream) const {
  CUlaunchAttribute attributes[2] = {};
  unsigned count = 0;
  if (overlaps_previous) {
    attributes[count].id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    attributes[count++].value.programmaticStreamSerializationAllowed = 1;
  }
  if (cluster_ > 1) {
    attributes[count].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    attributes[count++].value.clusterDim = {cluster_, 1, 1};
  }
  CUlaunchConfig config = {};
  config.gridDimX = blocks;
  config.gridDimY = config.gridDimZ = 1;
  config.blockDimX = threads_;
  config.blockDimY = config.blockDimZ = 1;
  config.sharedMemBytes = static_cast<unsigned>(resources_.dynamic_smem_bytes);
  config.hStream = stream;
  config.attrs = attributes;
  config.numAttrs = count;
  void* arguments[] = {const_cast<void*>(parameters)};
  check(driver().cuLaunchKernelEx(&config, function_, arguments, nullptr), "cuLaunchKernelEx");
}

}  // namespace streamattn
