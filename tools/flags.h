// The flags of a command: a table that parses itself and prints its own help.
#pragma once

#include <llvm/ADT/ArrayRef.h>
#include <llvm/ADT/StringRef.h>
#include <llvm/ADT/StringSet.h>
#include <llvm/Support/raw_ostream.h>

#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "streamattn/dtype.h"
#include "streamattn/tensor.h"

namespace streamattn {

/// Throws Error (invalid_config): "--seq is "x", needs an integer".
[[noreturn]] void reject_value(llvm::StringRef flag, llvm::StringRef text, llvm::StringRef needed);

/// Readers of one flag's value. Each throws Error (invalid_config) that names the flag, what was
/// found and what is needed.
void read_value(llvm::StringRef flag, llvm::StringRef text, std::string& value);
void read_value(llvm::StringRef flag, llvm::StringRef text, int& value);
void read_value(llvm::StringRef flag, llvm::StringRef text, std::int64_t& value);
void read_value(llvm::StringRef flag, llvm::StringRef text, std::uint64_t& value);
void read_value(llvm::StringRef flag, llvm::StringRef text, float& value);
void read_value(llvm::StringRef flag, llvm::StringRef text, double& value);
void read_value(llvm::StringRef flag, llvm::StringRef text, DType& value);
void read_value(llvm::StringRef flag, llvm::StringRef text, Rows& value);  // "begin:end"

template <class T>
void read_value(llvm::StringRef flag, llvm::StringRef text, std::optional<T>& value) {
  read_value(flag, text, value.emplace());
}

/// "1,2,3"; given again, a flag appends.
template <class T>
void read_value(llvm::StringRef flag, llvm::StringRef text, std::vector<T>& values) {
  while (true) {
    const auto [first, rest] = text.split(',');
    read_value(flag, first, values.emplace_back());
    if (first.size() == text.size()) return;
    text = rest;
  }
}

/// How the flags of a command are described: to a reader of --help, in a section of the manual
/// page, or in the part of a shell's completion script that is about the command.
enum class HelpForm { text, man, bash, zsh, fish };

/// What a command accepts. Flags are "--name value", "--name=value" or, for switches, "--name".
/// Types declare their own read_value() beside them.
class Flags {
 public:
  /// `usage` is the line after "streamattn": the command's name, then what follows it in brackets.
  /// `summary` is a sentence or more.
  Flags(std::string usage, std::string summary);

  /// Starts a group of flags in the help.
  void section(std::string title);

  /// Calls `read` with the value of every --name, which may be repeated. The placeholder of the
  /// value tells shells how to complete it: "FILE" and "DIR" are that, "a|b|c" and one word in
  /// lower case are all there is.
  void add(std::string name, std::string placeholder, std::string help,
           std::function<void(llvm::StringRef)> read) {
    add({std::move(name), std::move(placeholder), std::move(help), std::move(read),
         /*repeatable=*/true});
  }

  /// Reads --name's value into `value`, which must outlive parse(). Only a list may be repeated.
  template <class T>
  void add(std::string name, std::string placeholder, std::string help, T& value) {
    constexpr bool is_list = requires { value.push_back({}); } && !std::is_same_v<T, std::string>;
    const std::string flag = "--" + name;
    add({std::move(name), std::move(placeholder), std::move(help),
         [flag, &value](llvm::StringRef text) { read_value(flag, text, value); }, is_list});
  }

  /// A switch: sets `value` to true.
  void add(std::string name, std::string help, bool& value);

  /// At most one of these may be given.
  void exclude(std::vector<std::string> names);

  /// Refuses all flags that were added so far, each as "--name: " and the reason.
  void refuse_added(const std::string& reason);

  /// Reads `args`. Returns false after printing to `out` when --help is among them, or --help=FORM.
  /// Throws Error (invalid_config) for an unknown flag (naming the nearest one), a missing value,
  /// a value for a switch, a stray argument, a flag that is given twice or refused, and flags that
  /// exclude each other.
  bool parse(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) const;

  void print_help(HelpForm form, llvm::raw_ostream& out) const;

 private:
  struct Flag {
    std::string name;
    std::string placeholder;  // empty: a switch
    std::string help;
    std::function<void(llvm::StringRef)> read;
    bool repeatable = false;
    std::string section = {};  // set where one begins
    std::string refusal = {};  // why it must not be given
  };

  void add(Flag flag);
  const Flag& find(llvm::StringRef name) const;
  void check_exclusions(const llvm::StringSet<>& given) const;

  // help_forms.cpp, one per form
  std::string command() const;  // "cache ls"
  void print_text(llvm::raw_ostream& out) const;
  void print_man(llvm::raw_ostream& out) const;
  void print_bash(llvm::raw_ostream& out) const;
  void print_zsh(llvm::raw_ostream& out) const;
  void print_fish(llvm::raw_ostream& out) const;

  std::string usage_, summary_, next_section_;
  std::vector<Flag> flags_;
  std::vector<std::vector<std::string>> exclusions_;
};

}  // namespace streamattn
