// `streamattn tune` and its actions.
#pragma once

#include "tools/tool.h"

namespace streamattn {

/// With a job file or the flags of a problem it tunes; its first argument may be one of the actions
/// below.
Exit tune_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);

// "export" and "install" move rows and kernels between machines; "worker" is how tuning starts
// processes of its own.
Exit tune_export_action(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);
Exit tune_install_action(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);
Exit tune_worker_action(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);

}  // namespace streamattn
