// Backward kernels: check, resolve, run.
#include "streamattn/backward.h"

#include "compiler/operations/backward/check.h"
#include "runtime/executor.h"

namespace streamattn {

BackwardKernel::BackwardKernel(KernelOrigin origin, std::unique_ptr<const Executor> executor)
    : Kernel(std::move(origin), std::move(executor)),
      names_(std::make_shared<const NameNeeds>(problem())) {}

std::size_t BackwardKernel::workspace_bytes(const BackwardArgs& args) const {
  check_backward_sizes(problem(), *names_, args);
  return executor().workspace_bytes(resolve(problem(), *names_, args));
}

void BackwardKernel::launch(const BackwardArgs& args, Stream stream) const {
  check_backward(problem(), *names_, args);
  executor().run(resolve(problem(), *names_, args), args.workspace, stream);
}

}  // namespace streamattn
