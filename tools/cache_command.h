// `streamattn cache`: a look into the kernel cache, and what can be done about it.
#pragma once

#include "tools/tool.h"

namespace streamattn {

/// Runs `streamattn cache args...`. Returns ok, or wrong if `verify` found damaged entries. Throws
/// Error: invalid_config for wrong arguments, cache_refused and cache_io where the directory is
/// unsafe, missing or broken.
Exit cache_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);

/// `ls`, `stats` and so on.
llvm::ArrayRef<Command> cache_actions();

}  // namespace streamattn
