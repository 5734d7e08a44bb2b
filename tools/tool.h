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
  incomplete = 5,   ///< it was stopped before its end, by its budget or by Ctrl-C
};

/// A subcommand, or an action of one.
struct Command {
  llvm::StringRef name;
  llvm::StringRef summary;
  Exit (*run)(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);
  llvm::ArrayRef<Command> (*actions)() = nullptr;  ///< what its first argument may be; null: flags
};

/// Every subcommand, in the order of the help.
llvm::ArrayRef<Command> commands();

/// Runs the one of a command's `actions` that `args` begin with; --help lists them. Throws Error
/// (invalid_config) for another.
Exit run_action(llvm::StringRef command, llvm::ArrayRef<Command> actions,
                llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);

/// Runs `streamattn args...`: results go to `out`, an error's message to `err`. Never throws.
Exit run_tool(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out, llvm::raw_ostream& err);

// One function per subcommand: takes the arguments after its name, prints results to `out`, throws
// Error. Each one documents its flags under --help.
Exit run_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);
Exit emit_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);
Exit explain_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);
Exit compile_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);
Exit bench_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);
Exit doctor_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);
Exit completion_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);
llvm::ArrayRef<Command> completion_shells();
Exit manual_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out);

}  // namespace streamattn
