// `streamattn completion` and `streamattn manual`: what shells and man know of the command, from
// the tables of its flags.
#include <llvm/ADT/StringExtras.h>

#include "streamattn/jit.h"
#include "tools/flags.h"
#include "tools/tool.h"

namespace streamattn {
namespace {

/// Calls visit(command) for those whose first argument is an action.
template <class Visit>
void for_each_with_actions(const Visit& visit) {
  for (const Command& command : commands()) {
    if (command.actions) visit(command);
  }
}

/// The flags of every command and action, in one form: what --help=`form` prints.
void print_flags(const std::string& form, llvm::raw_ostream& out) {
  const std::string help = "--help=" + form;
  for (const Command& command : commands()) {
    if (!command.actions) command.run(help, out);
  }
  for_each_with_actions([&](const Command& command) {
    for (const Command& action : command.actions()) action.run(help, out);
  });
}

/// "ls stats verify"
std::string names(llvm::ArrayRef<Command> list) {
  return llvm::join(llvm::map_range(list, [](const Command& c) { return c.name; }), " ");
}

void print_bash(llvm::raw_ostream& out) {
  out << R"(# bash completion of streamattn
_streamattn() {
  local current=$2 previous=$3 command=${COMP_WORDS[1]} words= paths= actions=
  COMPREPLY=()
  case $command in
)";
  for_each_with_actions([&](const Command& command) {
    out << "    " << command.name << ") actions='" << names(command.actions()) << "' ;;\n";
  });
  out << R"(  esac
  if [[ $actions ]]; then command+=" ${COMP_WORDS[2]}"; fi
  case $command in
)";
  print_flags("bash", out);
  out << R"(  esac
  if ((COMP_CWORD == 1)); then words=')"
      << names(commands()) << R"( --help --version'; fi
  if [[ $actions ]] && ((COMP_CWORD == 2)); then words="$actions --help"; fi
  if [[ $paths ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  fi
}
complete -F _streamattn streamattn
)";
}

/// An array of "name:summary", described as `what`.
void print_zsh_list(llvm::ArrayRef<Command> list, llvm::StringRef what, llvm::raw_ostream& out) {
  out << "known=(";
  for (const Command& command : list)
    out << "\n      '" << command.name << ":" << command.summary << "'";
  out << ")\n      _describe " << what << " known\n      return\n";
}

void print_zsh(llvm::raw_ostream& out) {
  out << R"(#compdef streamattn
_streamattn() {
  local command=$words[2] known
  if ((CURRENT == 2)); then
    )";
  print_zsh_list(commands(), "command", out);
  out << "  fi\n";
  for_each_with_actions([&](const Command& command) {
    out << "  if [[ $command == " << command.name
        << " ]]; then\n    if ((CURRENT == 3)); then\n      ";
    print_zsh_list(command.actions(), "action", out);
    out << "    fi\n    command+=\" $words[3]\"\n    shift words; ((CURRENT--))\n  fi\n";
  });
  out << "  shift words; ((CURRENT--))\n  case $command in\n";
  print_flags("zsh", out);
  out << "  esac\n}\n_streamattn \"$@\"\n";
}

void print_fish_list(llvm::ArrayRef<Command> list, const std::string& place,
                     llvm::raw_ostream& out) {
  for (const Command& command : list) {
    out << "complete -c streamattn -n '" << place << "' -f -a " << command.name << " -d '"
        << command.summary << "'\n";
  }
}

void print_fish(llvm::raw_ostream& out) {
  out << R"(# fish completion of streamattn
function __streamattn_is
  set -l words (commandline -opc)
  test (count $words) -gt (count $argv); or return 1
  set -l last (math (count $argv) + 1)
  test "$words[2..$last]" = "$argv"
end
complete -c streamattn -f
)";
  print_fish_list(commands(), "__fish_use_subcommand", out);
  for_each_with_actions([&](const Command& command) {
    print_fish_list(
        command.actions(),
        "test (count (commandline -opc)) -eq 2; and __streamattn_is " + command.name.str(), out);
  });
  print_flags("fish", out);
}

/// One action of `completion`.
template <void print(llvm::raw_ostream&)>
Exit completion(llvm::StringRef shell, llvm::StringRef use, llvm::ArrayRef<std::string> args,
                llvm::raw_ostream& out) {
  const Flags flags(
      ("completion " + shell).str(),
      ("Prints a script that makes " + shell + " complete this command:\n" + use).str());
  if (flags.parse(args, out)) print(out);
  return Exit::ok;
}

Exit bash(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  return completion<print_bash>("bash", "source <(streamattn completion bash)", args, out);
}

Exit zsh(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  return completion<print_zsh>("zsh", "streamattn completion zsh > FOLDER_IN_FPATH/_streamattn",
                               args, out);
}

Exit fish(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  return completion<print_fish>("fish", "streamattn completion fish | source", args, out);
}

constexpr Command shells[] = {
    {"bash", "print a script for bash", bash},
    {"zsh", "print a script for zsh", zsh},
    {"fish", "print a script for fish", fish},
};

}  // namespace

Exit completion_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  return run_action("completion", shells, args, out);
}

llvm::ArrayRef<Command> completion_shells() { return shells; }

Exit manual_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  Flags flags("manual", "Prints the manual page in roff: streamattn manual | man -l -");
  if (!flags.parse(args, out)) return Exit::ok;
  out << ".TH STREAMATTN 1 \"\" \"streamattn " << version() << "\" \"User Commands\"\n"
      << R"(.SH NAME
streamattn \- compile, check and time attention kernels
.SH SYNOPSIS
.B streamattn
.I COMMAND
[flags]
.SH DESCRIPTION
Compiles attention kernels for NVIDIA GPUs at run time. Results go to standard output, progress and
errors to standard error.
)";
  for (const Command& command : commands()) {
    out << ".TP\n.B " << command.name << "\n" << command.summary << "\n";
  }
  out << ".SH COMMANDS\n";
  print_flags("man", out);
  out << R"(.SH EXIT STATUS
.TP
.B 0
ok
.TP
.B 1
a result is wrong, something is damaged, or a kernel failed
.TP
.B 2
the command line, a file or a variable is wrong; nothing was done
.TP
.B 3
no kernel family serves the problem
.TP
.B 4
this machine lacks something: a GPU, NVRTC, a cache directory, space for the output
)";
  return Exit::ok;
}

}  // namespace streamattn
