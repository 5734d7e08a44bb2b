// Parsing and help of a command's flags.
#include "tools/flags.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/ADT/StringExtras.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <utility>

#include "streamattn/error.h"
#include "support/did_you_mean.h"

namespace streamattn {

void reject_value(llvm::StringRef flag, llvm::StringRef text, llvm::StringRef needed) {
  throw Error(ErrorCode::invalid_config, (flag + " is \"" + text + "\", needs " + needed).str());
}

namespace {

template <class Integer>
void read_integer(llvm::StringRef flag, llvm::StringRef text, Integer& value) {
  if (!text.getAsInteger(10, value)) return;
  // What is no number, and what is none of ours.
  constexpr auto least = std::numeric_limits<Integer>::min();
  constexpr auto most = std::numeric_limits<Integer>::max();
  const llvm::StringRef digits = text.ltrim('-');
  const bool is_integer =
      !digits.empty() && text.size() - digits.size() <= 1 && llvm::all_of(digits, llvm::isDigit);
  reject_value(flag, text,
               is_integer   ? "an integer in " + std::to_string(least) + ".." + std::to_string(most)
               : least == 0 ? "an integer >= 0"
                            : "an integer");
}

}  // namespace

void read_value(llvm::StringRef, llvm::StringRef text, std::string& value) { value = text.str(); }

void read_value(llvm::StringRef flag, llvm::StringRef text, int& value) {
  read_integer(flag, text, value);
}

void read_value(llvm::StringRef flag, llvm::StringRef text, std::int64_t& value) {
  read_integer(flag, text, value);
}

void read_value(llvm::StringRef flag, llvm::StringRef text, std::uint64_t& value) {
  read_integer(flag, text, value);
}

void read_value(llvm::StringRef flag, llvm::StringRef text, double& value) {
  if (text.getAsDouble(value)) reject_value(flag, text, "a number");
}

void read_value(llvm::StringRef flag, llvm::StringRef text, float& value) {
  double wide = 0;
  read_value(flag, text, wide);
  value = static_cast<float>(wide);
}

void read_value(llvm::StringRef flag, llvm::StringRef text, DType& value) {
  try {
    value = parse_dtype(text.str());
  } catch (const Error& error) {
    throw Error(ErrorCode::invalid_config, flag.str() + ": " + error.what());
  }
}

void read_value(llvm::StringRef flag, llvm::StringRef text, Rows& value) {
  const auto [begin, end] = text.split(':');
  if (begin.getAsInteger(10, value.begin) || end.getAsInteger(10, value.end)) {
    reject_value(flag, text, "rows as begin:end, each a 64-bit integer");
  }
}

Flags::Flags(std::string usage, std::string summary)
    : usage_(std::move(usage)), summary_(std::move(summary)) {}

void Flags::section(std::string title) { next_section_ = std::move(title); }

void Flags::add(Flag flag) {
  flag.section = std::exchange(next_section_, {});
  flags_.push_back(std::move(flag));
}

void Flags::add(std::string name, std::string help, bool& value) {
  add({std::move(name), "", std::move(help), [&value](llvm::StringRef) { value = true; },
       /*repeatable=*/true});
}

void Flags::exclude(std::vector<std::string> names) { exclusions_.push_back(std::move(names)); }

void Flags::refuse_added(const std::string& reason) {
  for (Flag& flag : flags_) flag.refusal = reason;
}

const Flags::Flag& Flags::find(llvm::StringRef name) const {
  const auto same = [&](const Flag& flag) { return name == flag.name; };
  const auto found = std::find_if(flags_.begin(), flags_.end(), same);
  if (found != flags_.end()) return *found;

  std::vector<std::string_view> known;
  for (const Flag& flag : flags_) known.push_back(flag.name);
  throw Error(ErrorCode::invalid_config,
              "unknown flag \"" + name.str() + "\", " + did_you_mean(name.str(), known));
}

void Flags::check_exclusions(const llvm::StringSet<>& given) const {
  for (const std::vector<std::string>& names : exclusions_) {
    std::vector<std::string> found;
    for (const std::string& name : names) {
      if (given.contains(name)) found.push_back("--" + name);
    }
    if (found.size() > 1) {
      throw Error(ErrorCode::invalid_config,
                  llvm::join(found, " and ") + " exclude each other, give one of them");
    }
  }
}

namespace {

/// The form that an argument asks for; nothing where it is another flag.
std::optional<HelpForm> asked_form(llvm::StringRef arg) {
  if (arg == "--help" || arg == "-h") return HelpForm::text;
  if (!arg.consume_front("--help=")) return std::nullopt;
  constexpr std::array<llvm::StringLiteral, 5> forms{"text", "man", "bash", "zsh", "fish"};
  const auto* const found = llvm::find(forms, arg);
  if (found == forms.end()) reject_value("--help", arg, llvm::join(forms, ", "));
  return static_cast<HelpForm>(found - forms.begin());
}

}  // namespace

bool Flags::parse(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) const {
  llvm::StringSet<> given;
  while (!args.empty()) {
    llvm::StringRef arg = args.front();
    args = args.drop_front();
    if (const auto form = asked_form(arg)) {
      print_help(*form, out);
      return false;
    }
    if (!arg.consume_front("--")) {
      throw Error(ErrorCode::invalid_config, "stray argument \"" + arg.str() + "\"");
    }
    const auto [name, attached] = arg.split('=');
    const Flag& flag = find(name);
    if (!given.insert(name).second && !flag.repeatable) {
      throw Error(ErrorCode::invalid_config, "--" + flag.name + " is given twice");
    }
    if (!flag.refusal.empty())
      throw Error(ErrorCode::invalid_config, "--" + flag.name + ": " + flag.refusal);
    const bool has_attached = name.size() < arg.size();
    if (flag.placeholder.empty()) {
      if (has_attached) {
        throw Error(ErrorCode::invalid_config, "--" + flag.name + " takes no value");
      }
      flag.read("");
    } else if (has_attached) {
      flag.read(attached);
    } else if (!args.empty()) {
      flag.read(args.front());
      args = args.drop_front();
    } else {
      throw Error(ErrorCode::invalid_config, "--" + flag.name + " needs a value");
    }
  }
  check_exclusions(given);
  return true;
}

}  // namespace streamattn
