// Which GPUs a command works on.
#pragma once

#include <vector>

#include "tools/flags.h"

namespace streamattn {

/// Ordinals of CUDA devices, each once; or all that there are.
struct GpuList {
  bool is_all = false;
  std::vector<int> ordinals = {};

  bool is_given() const { return is_all || !ordinals.empty(); }

  /// The ordinals. Throws Error (no_driver, no_device) where all are asked for and there is none.
  std::vector<int> resolved() const;
};

/// "all" or "0,2,3".
void read_value(llvm::StringRef flag, llvm::StringRef text, GpuList& value);

}  // namespace streamattn
