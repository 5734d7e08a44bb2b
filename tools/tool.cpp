// Picks the subcommand and turns errors into messages and exit codes.
#include "tools/tool.h"

#include <llvm/Support/Format.h>

#include <exception>

#include "streamattn/jit.h"
#include "tools/cache_command.h"

namespace streamattn {
namespace {

struct Command {
  llvm::StringRef name;
  llvm::StringRef summary;
  Exit (*run)(llvm::ArrayRef<std::string>, llvm::raw_ostream&);
};

Exit run_cache_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  return cache_command(args, out) == 0 ? Exit::ok : Exit::wrong;
}

constexpr Command commands[] = {
    {"run", "run one problem on random inputs and check it against float64", run_command},
    {"emit", "print the CUDA source of a problem; needs no GPU", emit_command},
    {"compile", "compile a problem and show its resources; needs no GPU", compile_command},
    {"bench", "time problems and schedules, beside a baseline", bench_command},
    {"cache", "list, check or clear the kernel cache", run_cache_command},
    {"doctor", "show what this machine has, what it lacks and how to get it", doctor_command},
};

void print_help(llvm::raw_ostream& out) {
  out << "usage: streamattn COMMAND [flags]\n\n"
         "Compiles attention kernels for NVIDIA GPUs at run time.\n\n";
  for (const Command& command : commands) {
    out << "  " << llvm::left_justify(command.name, 9) << command.summary << "\n";
  }
  out << "\n`streamattn COMMAND --help` lists a command's flags; `streamattn --version` is the\n"
         "version.\n\n"
         "exit codes: 0 ok\n"
         "            1 a result is wrong, something is damaged, or a kernel failed\n"
         "            2 the command line, a file or a variable is wrong; nothing was done\n"
         "            3 no kernel family serves the problem\n"
         "            4 this machine lacks something: a GPU, NVRTC, a cache directory\n";
}

Exit exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::invalid_problem:
    case ErrorCode::invalid_schedule:
    case ErrorCode::invalid_config:
      return Exit::usage;
    case ErrorCode::unsupported_problem:
      return Exit::unsupported;
    case ErrorCode::nvrtc_missing:
    case ErrorCode::no_driver:
    case ErrorCode::no_device:
    case ErrorCode::cache_refused:
    case ErrorCode::cache_io:
      return Exit::environment;
    case ErrorCode::compile_failed:
    case ErrorCode::load_failed:
    case ErrorCode::launch_failed:
      return Exit::wrong;
  }
  return Exit::wrong;
}

Exit dispatch(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  const llvm::StringRef first = args.empty() ? "--help" : llvm::StringRef(args.front());
  if (first == "--help" || first == "-h" || first == "help") {
    print_help(out);
    return args.empty() ? Exit::usage : Exit::ok;
  }
  if (first == "--version") {
    out << "streamattn " << version() << "\n";
    return Exit::ok;
  }
  for (const Command& command : commands) {
    if (first == command.name) return command.run(args.drop_front(), out);
  }
  throw Error(ErrorCode::invalid_config,
              "unknown command \"" + first.str() + "\", see streamattn --help");
}

}  // namespace

Exit run_tool(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out, llvm::raw_ostream& err) {
  try {
    return dispatch(args, out);
  } catch (const Error& error) {
    out.flush();
    err << "streamattn: " << name(error.code()) << ": " << error.what() << "\n";
    return exit_code(error.code());
  } catch (const std::exception& error) {
    out.flush();
    err << "streamattn: " << error.what() << "\n";
    return Exit::wrong;
  }
}

}  // namespace streamattn
