// Checks a TOML text against the limits before toml++ sees it.
#include "compiler/toml.h"

#include <llvm/ADT/StringExtras.h>
#include <llvm/ADT/StringRef.h>

#include <string>

namespace streamattn {
namespace {

[[noreturn]] void fail(const std::string& complaint, toml::source_index line) {
  const toml::source_position place{line, 1};
  throw toml::parse_error(complaint.c_str(), toml::source_region{place, place, nullptr});
}

}  // namespace

void fail_toml_check() { fail("this is no TOML; toml++ cannot say where", 1); }

toml::table parse_toml(std::string_view text) {
  if (text.size() > most_toml_bytes) {
    fail(std::to_string(text.size()) + " bytes, at most " + std::to_string(most_toml_bytes) +
             " are allowed",
         1);
  }
  toml::source_index line = 1;
  for (const llvm::StringRef content :
       llvm::split(llvm::StringRef(text.data(), text.size()), '\n')) {
    if (content.count('.') > most_toml_dots_per_line) {
      fail("more than " + std::to_string(most_toml_dots_per_line) + " dots in a line", line);
    }
    ++line;
  }
  return toml::parse(text);
}

std::string toml_string(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 32 || c == 127) {
      quoted += "\\u00" + llvm::toHex(llvm::StringRef(&c, 1));
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

}  // namespace streamattn
