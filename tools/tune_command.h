// `streamattn tune` and its actions.
#pragma once

#include "tools/tool.h"

namespace streamattn {

/// With a job file or the flags of a problem it tunes; "worker" is how it starts processes of its
/// own.
Exit tune_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);

}  // namespace streamattn
