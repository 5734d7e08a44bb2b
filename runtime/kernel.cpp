// What every kernel can say of itself.
#include "streamattn/kernel.h"

#include <llvm/Support/FormatVariadic.h>

#include "compiler/workspace.h"
#include "runtime/executor.h"
#include "streamattn/error.h"

namespace streamattn {

Kernel::Kernel(KernelOrigin origin, std::unique_ptr<const Executor> executor)
    : origin_(std::move(origin)), executor_(std::move(executor)) {}

Kernel::~Kernel() = default;

std::string Kernel::describe() const {
  std::string text = llvm::formatv("problem:   {0}\nschedule:  {1}\nchosen by: {2}\ntarget:    {3}",
                                   problem().describe(), schedule().describe(),
                                   origin_.choice.reason, target().name);
  for (const auto& [entry, resources] : origin_.resources)
    text += llvm::formatv(
        "\nkernel:    {0}: {1} registers, {2} bytes of shared memory, {3} bytes of spills", entry,
        resources.registers, resources.dynamic_smem_bytes + resources.static_smem_bytes,
        resources.spill_store_bytes + resources.spill_load_bytes);
  if (!origin_.resources.empty())
    text += origin_.from_cache ? "\nbinary:    from the disk cache" : "\nbinary:    compiled";
  return text;
}

void require_workspace(const Workspace& given, std::size_t needed) {
  if (needed == 0) return;
  if (given.data == nullptr || given.bytes < needed)
    throw Error(ErrorCode::invalid_argument,
                llvm::formatv("workspace: is {0} bytes, this launch needs {1} (workspace_bytes())",
                              given.data == nullptr ? 0 : given.bytes, needed));
  const auto address = reinterpret_cast<std::uintptr_t>(given.data);
  if (address % WorkspaceSlices::alignment != 0)
    throw Error(ErrorCode::invalid_argument,
                llvm::formatv("workspace: is at {0:x}, needs a multiple of {1}", address,
                              WorkspaceSlices::alignment));
}

}  // namespace streamattn
