// The flags of a command as help, as a section of the manual page, and as a part of completion
// scripts.
#include <llvm/ADT/STLExtras.h>
#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/Format.h>

#include <algorithm>
#include <string>

#include "tools/flags.h"

namespace streamattn {
namespace {

/// `text` with a backslash before each of `special`.
std::string escaped(llvm::StringRef text, llvm::StringRef special) {
  std::string result;
  for (const char c : text) {
    if (special.contains(c)) result += '\\';
    result += c;
  }
  return result;
}

/// What may stand in single quotes of a POSIX shell; zsh also reads brackets and colons.
std::string zsh_text(llvm::StringRef text) {
  std::string result;
  for (const char c : escaped(text, "[]:\\")) result += c == '\'' ? "'\\''" : std::string(1, c);
  return result;
}

/// A line of roff: no backslash of ours is a command, no dot in front a request, a hyphen a minus.
std::string roff(llvm::StringRef text) {
  const std::string line = escaped(text, "\\-");
  return line.starts_with('.') || line.starts_with('\'') ? "\\&" + line : line;
}

bool is_path(llvm::StringRef placeholder) { return placeholder == "FILE" || placeholder == "DIR"; }

/// "a b c" of "a|b|c"; empty where the values cannot be listed.
std::string choices(llvm::StringRef placeholder) {
  if (llvm::none_of(placeholder, llvm::isLower)) return "";
  std::string words = placeholder.str();
  std::ranges::replace(words, '|', ' ');
  return words;
}

}  // namespace

std::string Flags::command() const {
  return llvm::StringRef(usage_).split('[').first.rtrim().str();
}

void Flags::print_help(HelpForm form, llvm::raw_ostream& out) const {
  switch (form) {
    case HelpForm::text:
      return print_text(out);
    case HelpForm::man:
      return print_man(out);
    case HelpForm::bash:
      return print_bash(out);
    case HelpForm::zsh:
      return print_zsh(out);
    case HelpForm::fish:
      return print_fish(out);
  }
}

void Flags::print_text(llvm::raw_ostream& out) const {
  out << "usage: streamattn " << usage_ << "\n\n" << summary_ << "\n";
  const auto left = [](const Flag& flag) {
    return "  --" + flag.name + (flag.placeholder.empty() ? "" : " " + flag.placeholder);
  };
  std::size_t width = 0;
  for (const Flag& flag : flags_) width = std::max(width, left(flag).size());
  for (const Flag& flag : flags_) {
    if (!flag.section.empty()) out << "\n" << flag.section << ":\n";
    out << llvm::left_justify(left(flag), width + 2) << flag.help << "\n";
  }
}

void Flags::print_man(llvm::raw_ostream& out) const {
  out << ".SS streamattn " << roff(usage_) << "\n";
  for (const llvm::StringRef line : llvm::split(summary_, '\n')) out << roff(line) << "\n";
  for (const Flag& flag : flags_) {
    if (!flag.section.empty()) out << ".PP\n" << roff(flag.section) << ":\n";
    out << ".TP\n.B " << roff("--" + flag.name);
    if (!flag.placeholder.empty()) out << " \\fI" << roff(flag.placeholder) << "\\fR";
    out << "\n" << roff(flag.help) << "\n";
  }
}

/// A branch of `case $command in`: sets `words`, or `paths` after a flag that names a file.
void Flags::print_bash(llvm::raw_ostream& out) const {
  out << "    '" << command() << "')\n      case $previous in\n";
  for (const Flag& flag : flags_) {
    if (flag.placeholder.empty()) continue;
    out << "        --" << flag.name << ") ";
    if (is_path(flag.placeholder)) {
      out << "paths=1 ;;\n";
    } else {
      out << "words='" << choices(flag.placeholder) << "' ;;\n";
    }
  }
  out << "        *) words='";
  for (const Flag& flag : flags_) out << "--" << flag.name << " ";
  out << "--help' ;;\n      esac ;;\n";
}

/// A branch of `case $command in` that calls _arguments.
void Flags::print_zsh(llvm::raw_ostream& out) const {
  out << "    '" << command() << "')\n      _arguments \\\n";
  for (const Flag& flag : flags_) {
    out << "        '" << (flag.repeatable ? "*" : "") << "--" << flag.name << "["
        << zsh_text(flag.help) << "]";
    if (!flag.placeholder.empty()) {
      out << ":" << zsh_text(flag.placeholder) << ":";
      if (is_path(flag.placeholder)) {
        out << "_files";
      } else if (const std::string words = choices(flag.placeholder); !words.empty()) {
        out << "(" << words << ")";
      }
    }
    out << "' \\\n";
  }
  out << "        '--help[show the help]' ;;\n";
}

void Flags::print_fish(llvm::raw_ostream& out) const {
  for (const Flag& flag : flags_) {
    out << "complete -c streamattn -n '__streamattn_is " << command() << "' -l " << flag.name
        << " -d '" << escaped(flag.help, "'\\") << "'";
    if (is_path(flag.placeholder)) {
      out << " -r -F";
    } else if (!flag.placeholder.empty()) {
      out << " -x -a '" << choices(flag.placeholder) << "'";
    }
    out << "\n";
  }
}

}  // namespace streamattn
