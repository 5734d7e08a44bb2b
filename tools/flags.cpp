// Parsing and help of a command's flags.
#include "tools/flags.h"

#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/Format.h>

#include <algorithm>
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
  if (text.getAsInteger(10, value)) {
    reject_value(flag, text,
                 std::numeric_limits<Integer>::is_signed ? "an integer" : "an integer >= 0");
  }
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
    reject_value(flag, text, "rows as begin:end");
  }
}

Flags::Flags(std::string usage, std::string summary)
    : usage_(std::move(usage)), summary_(std::move(summary)) {}

void Flags::section(std::string title) { next_section_ = std::move(title); }

void Flags::add(std::string name, std::string placeholder, std::string help,
                std::function<void(llvm::StringRef)> read) {
  flags_.push_back({std::move(name), std::move(placeholder), std::move(help), std::move(read),
                    std::exchange(next_section_, {})});
}

void Flags::add(std::string name, std::string help, bool& value) {
  add(std::move(name), "", std::move(help), [&value](llvm::StringRef) { value = true; });
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

bool Flags::parse(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) const {
  while (!args.empty()) {
    llvm::StringRef arg = args.front();
    args = args.drop_front();
    if (arg == "--help" || arg == "-h") {
      print_help(out);
      return false;
    }
    if (!arg.consume_front("--")) {
      throw Error(ErrorCode::invalid_config, "stray argument \"" + arg.str() + "\"");
    }
    const auto [name, attached] = arg.split('=');
    const Flag& flag = find(name);
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
  return true;
}

void Flags::print_help(llvm::raw_ostream& out) const {
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

}  // namespace streamattn
