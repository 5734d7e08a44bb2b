// Append kernels: check, resolve, run.
#include "streamattn/append.h"

#include "compiler/operations/append/check.h"
#include "runtime/executor.h"

namespace streamattn {

AppendKernel::AppendKernel(KernelOrigin origin, std::unique_ptr<const Executor> executor)
    : Kernel(std::move(origin), std::move(executor)) {}

void AppendKernel::launch(const AppendArgs& args, Stream stream) const {
  check_append(problem(), args);
  executor().run(resolve(problem(), args), {}, stream);
}

}  // namespace streamattn
