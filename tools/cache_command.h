// `streamattn cache`: a look into the kernel cache, and what can be done about it.
#pragma once

#include <llvm/ADT/ArrayRef.h>
#include <llvm/Support/raw_ostream.h>

#include <string>

namespace streamattn {

/// Runs `streamattn cache args...`. Returns 0, or 1 if `verify` found damaged entries. Throws
/// Error: invalid_config for wrong arguments, cache_refused and cache_io where the directory is
/// unsafe, missing or broken.
int cache_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);

}  // namespace streamattn
