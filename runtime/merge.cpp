// Merge kernels: check, resolve, run.
#include "streamattn/merge.h"

#include "compiler/operations/merge/check.h"
#include "runtime/executor.h"

namespace streamattn {

MergeKernel::MergeKernel(KernelOrigin origin, std::unique_ptr<const Executor> executor)
    : Kernel(std::move(origin), std::move(executor)) {}

void MergeKernel::launch(const MergeArgs& args, Stream stream) const {
  check_merge(problem(), args);
  executor().run(resolve(problem(), args), {}, stream);
}

}  // namespace streamattn
