// A broken contract, before it is known who broke it.
#pragma once

#include <llvm/Support/FormatVariadic.h>

#include <stdexcept>
#include <string>

#include "emulator/ptx/machine.h"

namespace streamattn::emulator {

/// Thrown where a contract is checked; the block adds kernel, block, warp and line.
class Violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <class... Args>
[[noreturn]] void violate(const char* format, Args&&... args) {
  throw Violation(llvm::formatv(format, std::forward<Args>(args)...).str());
}

/// "forward/flash_wgmma.cuh:120".
inline std::string text(Site site) { return llvm::formatv("{0}:{1}", site.file, site.line); }

}  // namespace streamattn::emulator
