// A GPU as an executor: follows the plans of a program's family.
#pragma once

#include <memory>
#include <vector>

#include "runtime/executor.h"
#include "runtime/gpu/loaded_kernel.h"

namespace streamattn {

class GpuExecutor final : public Executor {
 public:
  /// `kernels` are those of the program of `problem` and `schedule`, in order.
  GpuExecutor(Problem problem, Schedule schedule,
              std::vector<std::shared_ptr<const LoadedKernel>> kernels, GpuDevice& device);

  std::size_t workspace_bytes(const ResolvedCall& call) const override;
  void run(const ResolvedCall& call, const Workspace& workspace, Stream stream) const override;

 private:
  Problem problem_;
  Schedule schedule_;
  std::vector<std::shared_ptr<const LoadedKernel>> kernels_;
  GpuDevice& device_;
};

}  // namespace streamattn
