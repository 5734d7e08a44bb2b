// Reads and resolves lists of GPUs.
#include "tools/gpu_list.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/ADT/SmallVector.h>

#include <numeric>

#include "runtime/gpu/driver.h"
#include "streamattn/error.h"

namespace streamattn {

std::vector<int> GpuList::resolved() const {
  if (!is_all) return ordinals;
  int count = 0;
  check(driver().cuDeviceGetCount(&count), "counting devices");
  if (count == 0) throw Error(ErrorCode::no_device, "there is no CUDA device");
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

void read_value(llvm::StringRef flag, llvm::StringRef text, GpuList& value) {
  value = {};
  if (text == "all") {
    value.is_all = true;
    return;
  }
  llvm::SmallVector<llvm::StringRef> parts;
  text.split(parts, ',');
  for (const llvm::StringRef part : parts) {
    int ordinal = -1;
    if (part.getAsInteger(10, ordinal) || ordinal < 0 ||
        llvm::is_contained(value.ordinals, ordinal))
      reject_value(flag, text, "all, or ordinals such as 0,2,3, each once");
    value.ordinals.push_back(ordinal);
  }
}

}  // namespace streamattn
