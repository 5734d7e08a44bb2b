// Plans, step by step, on a stream.
#include "runtime/gpu/executor.h"

#include "compiler/plan.h"
#include "runtime/gpu/tensor_maps.h"

namespace streamattn {

GpuExecutor::GpuExecutor(Problem problem, Schedule schedule,
                         std::vector<std::shared_ptr<const LoadedKernel>> kernels,
                         GpuDevice& device)
    : problem_(std::move(problem)),
      schedule_(std::move(schedule)),
      kernels_(std::move(kernels)),
      device_(device) {}

std::size_t GpuExecutor::workspace_bytes(const ResolvedCall& call) const {
  return streamattn::workspace_bytes(problem_, schedule_, call, device_.sms(), device_.l2_bytes());
}

void GpuExecutor::run(const ResolvedCall& call, const Workspace& workspace, Stream stream) const {
  const ContextScope scope(device_.context());
  auto* cuda_stream = static_cast<CUstream>(stream);
  const auto zero_words = [&](int count) { return device_.zero_words(cuda_stream, count); };
  WorkspaceSlices slices(workspace.data);
  const Plan steps = plan(problem_, schedule_, call,
                          {device_.sms(), device_.l2_bytes(), tensor_map, zero_words}, slices);
  require_workspace(workspace, slices.bytes());
  for (const Step& step : steps) {
    if (const auto* launch = std::get_if<KernelLaunch>(&step)) {
      kernels_[launch->kernel]->launch(launch->blocks, launch->parameters(),
                                       launch->overlaps_previous, cuda_stream);
    } else {
      const auto& [data, bytes] = std::get<Clear>(step);
      check(driver().cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(data), 0, bytes, cuda_stream),
            "clearing a slice of the workspace");
    }
  }
}

}  // namespace streamattn
