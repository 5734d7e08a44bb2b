// Forward kernels: check, resolve, run.
#include "streamattn/forward.h"

#include "compiler/operations/forward/check.h"
#include "runtime/executor.h"

namespace streamattn {

ForwardKernel::ForwardKernel(KernelOrigin origin, std::unique_ptr<const Executor> executor)
    : Kernel(std::move(origin), std::move(executor)),
      names_(std::make_shared<const NameNeeds>(problem())) {}

std::size_t ForwardKernel::workspace_bytes(const ForwardArgs& args) const {
  check_forward_sizes(problem(), *names_, args);
  return executor().workspace_bytes(resolve(problem(), *names_, args));
}

void ForwardKernel::launch(const ForwardArgs& args, Stream stream) const {
  check_forward(problem(), *names_, args);
  executor().run(resolve(problem(), *names_, args), args.workspace, stream);
}

}  // namespace streamattn
