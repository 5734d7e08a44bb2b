// The `streamattn` command: its subcommands and exit codes.
#pragma once

#include <llvm/ADT/ArrayRef.h>
#include <llvm/Support/raw_ostream.h>

#include <string>

namespace streamattn {

/// What the exit code of `streamattn` means.
enum class Exit {
  ok = 0,
  wrong = 1,        ///< a result is wrong, something is damaged, or a kernel failed
  usage = 2,        ///< the command line, a file or a variable is wrong; nothing was done
  unsupported = 3,  ///< no family serves the problem
  environment = 4,  ///< this machine lacks something: a GPU, NVRTC, a cache directory
};

/// Runs `streamattn args...`: results go to `out`, an error's message to `err`. Never throws.
Exit run_tool(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out, llvm::raw_ostream& err);

// One function per subcommand: takes the arguments after its name, prints results to `out`, throws
// Error. Each one documents its flags under --help.
Exit run_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);
Exit emit_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);
Exit compile_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);
Exit bench_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);
Exit doctor_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);

}  // namespace streamattn
