// Asks before memory is taken: a system may promise more than it has and end who uses it.
#include "measure/host_memory.h"

#include <llvm/Support/FormatVariadic.h>
#include <unistd.h>

#include "streamattn/error.h"

namespace streamattn {

void require_memory(const std::string& what, double bytes) {
  const double present =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  if (bytes <= present) return;
  throw Error(ErrorCode::invalid_argument,
              llvm::formatv("{0} takes {1:f1} GB of memory, this machine has {2:f1}", what,
                            bytes / 1e9, present / 1e9));
}

}  // namespace streamattn
