// Picks the subcommand and turns errors into messages and exit codes.
#include "tools/tool.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/Format.h>

#include <exception>
#include <new>
#include <string_view>
#include <vector>

#include "streamattn/jit.h"
#include "support/did_you_mean.h"
#include "tools/cache_command.h"
#include "tools/tune_command.h"

namespace streamattn {
namespace {

constexpr Command all_commands[] = {
    {"run", "run one problem on random inputs and check it against float64", run_command},
    {"emit", "print the CUDA source of a problem; needs no GPU", emit_command},
    {"explain", "show what a mask means to a kernel, and why that kernel; needs no GPU",
     explain_command},
    {"compile", "compile a problem and show its resources; needs no GPU", compile_command},
    {"bench", "time problems and schedules, beside a baseline", bench_command},
    {"tune", "find the fastest schedules and write them as rows", tune_command},
    {"cache", "list, check or clear the kernel cache", cache_command, cache_actions},
    {"doctor", "show what this machine has, what it lacks and how to get it", doctor_command},
    {"completion", "print what makes a shell complete this command", completion_command,
     completion_shells},
    {"manual", "print the manual page", manual_command},
};

/// The one called `name`. Throws Error (invalid_config) that says what "a `kind`" may be.
const Command& find(llvm::ArrayRef<Command> list, llvm::StringRef kind, llvm::StringRef name) {
  std::vector<std::string_view> known;
  for (const Command& command : list) {
    if (command.name == name) return command;
    known.emplace_back(command.name.data(), command.name.size());
  }
  throw Error(ErrorCode::invalid_config,
              ("unknown " + kind + " \"" + name + "\", ").str() + did_you_mean(name.str(), known));
}

void print_list(llvm::ArrayRef<Command> list, llvm::raw_ostream& out) {
  for (const Command& command : list) {
    out << "  " << llvm::left_justify(command.name, 12) << command.summary << "\n";
  }
}

void print_help(llvm::raw_ostream& out) {
  out << "usage: streamattn COMMAND [flags]\n\n"
         "Compiles attention kernels for NVIDIA GPUs at run time.\n\n";
  print_list(all_commands, out);
  out << "\n`streamattn COMMAND --help` lists a command's flags; `streamattn --version` is the\n"
         "version.\n\n"
         "exit codes: 0 ok\n"
         "            1 a result is wrong, something is damaged, or a kernel failed\n"
         "            2 the command line, a file or a variable is wrong; nothing was done\n"
         "            3 no kernel family serves the problem\n"
         "            4 this machine lacks something: a GPU, NVRTC, a cache directory\n"
         "            5 it was stopped before its end, by its budget or by Ctrl-C\n";
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
  return find(all_commands, "command", first).run(args.drop_front(), out);
}

}  // namespace

llvm::ArrayRef<Command> commands() { return all_commands; }

Exit run_action(llvm::StringRef command, llvm::ArrayRef<Command> actions,
                llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  if (args.empty()) {
    const auto names = llvm::map_range(actions, [](const Command& action) { return action.name; });
    throw Error(ErrorCode::invalid_config,
                (command + " needs an action: " + llvm::join(names, ", ")).str());
  }
  if (args.front() != "--help" && args.front() != "-h") {
    const std::string kind = (command + " action").str();
    return find(actions, kind, args.front()).run(args.drop_front(), out);
  }
  out << "usage: streamattn " << command << " ACTION [flags]\n\n";
  print_list(actions, out);
  return Exit::ok;
}

Exit run_tool(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out, llvm::raw_ostream& err) {
  try {
    return dispatch(args, out);
  } catch (const Error& error) {
    out.flush();
    err << "streamattn: " << name(error.code()) << ": " << error.what() << "\n";
    return exit_code(error.code());
  } catch (const std::bad_alloc&) {
    out.flush();
    err << "streamattn: this machine has not the memory that this needs; smaller sizes need less\n";
    return Exit::environment;
  } catch (const std::exception& error) {
    out.flush();
    err << "streamattn: " << error.what() << "\n";
    return Exit::wrong;
  }
}

}  // namespace streamattn
