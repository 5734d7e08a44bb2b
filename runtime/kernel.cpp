// What every kernel can say of itself.
#include "streamattn/kernel.h"

#include <llvm/Support/FormatVariadic.h>

namespace streamattn {

Kernel::Kernel(Problem problem, Choice choice, const Target& target, Resources resources,
               bool from_cache)
    : problem_(std::move(problem)),
      choice_(std::move(choice)),
      target_(target),
      resources_(resources),
      from_cache_(from_cache) {}

std::string Kernel::describe() const {
  std::string text =
      llvm::formatv("problem:   {0}\nschedule:  {1}\nchosen by: {2}\ntarget:    {3}",
                    problem_.describe(), choice_.schedule.describe(), choice_.reason, target_.name);
  if (target_.is_cpu) return text;
  text += llvm::formatv(
      "\nresources: {0} registers, {1} bytes of shared memory, {2} bytes of spills\n"
      "binary:    {3}",
      resources_.registers, resources_.dynamic_smem_bytes + resources_.static_smem_bytes,
      resources_.spill_store_bytes + resources_.spill_load_bytes,
      from_cache_ ? "from the disk cache" : "compiled");
  return text;
}

}  // namespace streamattn
