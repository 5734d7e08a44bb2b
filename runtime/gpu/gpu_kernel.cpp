// Loading and launching on a GPU.
#include "runtime/gpu/gpu_kernel.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <memory>
#include <string>

#include "compiler/families/flash_wgmma/flash_wgmma.h"
#include "compiler/operations/forward_check.h"
#include "runtime/gpu/flash_launch.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

Resources with_smem(Resources resources, const Problem& problem, const Schedule& schedule) {
  resources.dynamic_smem_bytes = flash_tiling(problem, schedule).bytes();
  return resources;
}

// The parameter block that the binary expects, held against ours.
void check_params(CUkernel kernel) {
  std::size_t offset = 0, bytes = 0;
  check(driver().cuKernelGetParamInfo(kernel, 0, &offset, &bytes), "cuKernelGetParamInfo");
  if (bytes != sizeof(FlashParams))
    throw Error(ErrorCode::load_failed,
                llvm::formatv("the binary takes {0} bytes of parameters, this library passes {1}",
                              bytes, sizeof(FlashParams)));
}

}  // namespace

GpuKernel::GpuKernel(const Problem& problem, const Choice& choice, const Target& target,
                     const Binary& binary, bool from_cache, GpuDevice& device)
    : Kernel(problem, choice, target, with_smem(binary.resources, problem, choice.schedule),
             from_cache),
      device_(device) {
  ContextScope scope(device_.context());
  RelaxedCaptureScope relaxed;
  CUlibrary library = nullptr;
  check(driver().cuLibraryLoadData(&library, binary.cubin.data(), nullptr, nullptr, 0, nullptr,
                                   nullptr, 0),
        "cuLibraryLoadData");
  CUkernel kernel = nullptr;
  check(driver().cuLibraryGetKernel(&kernel, library, "streamattn_forward"), "cuLibraryGetKernel");
  check_params(kernel);
  check(driver().cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                      resources().dynamic_smem_bytes, kernel, device_.ordinal()),
        "cuKernelSetAttribute");
  check(driver().cuKernelGetFunction(&function_, kernel), "cuKernelGetFunction");
  check(driver().cuFuncLoad(function_), "cuFuncLoad");
}

void GpuKernel::launch(const ForwardArgs& args, Stream stream) const {
  check_args(problem(), args, /*device=*/true);
  ForwardCall call = resolve(problem(), args);
  ContextScope scope(device_.context());
  FlashParams params = flash_params(problem(), schedule(), call, flash_device(device_));
  if (params.order.items == 0) return;
  auto* cuda_stream = static_cast<CUstream>(stream);
  if (schedule().tile_order == TileOrder::dynamic)
    params.order.item_counter = device_.tile_counter(cuda_stream);

  int sms = call.max_sms > 0 ? std::min(call.max_sms, device_.sms()) : device_.sms();
  CUlaunchConfig config = {};
  config.gridDimX = static_cast<unsigned>(std::min(params.order.items, sms));
  config.gridDimY = config.gridDimZ = 1;
  config.blockDimX = static_cast<unsigned>(flash_threads(schedule()));
  config.blockDimY = config.blockDimZ = 1;
  config.sharedMemBytes = static_cast<unsigned>(resources().dynamic_smem_bytes);
  config.hStream = cuda_stream;
  void* arguments[] = {&params};
  check(driver().cuLaunchKernelEx(&config, function_, arguments, nullptr), "cuLaunchKernelEx");
}

}  // namespace streamattn
