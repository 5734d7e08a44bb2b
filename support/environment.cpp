// Reads environment variables.
#include "support/environment.h"

#include <stdlib.h>
#include <unistd.h>

#include <llvm/ADT/STLExtras.h>
#include <llvm/ADT/StringExtras.h>

#include <algorithm>

#include "streamattn/error.h"
#include "support/did_you_mean.h"
#include "support/log.h"

namespace streamattn {

std::optional<std::string> environment(const char* name) {
  const char* value = ::secure_getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

std::optional<std::filesystem::path> environment_path(const char* name) {
  const auto value = environment(name);
  if (!value) return std::nullopt;
  std::filesystem::path path(*value);
  if (!path.is_absolute()) {
    throw Error(ErrorCode::invalid_config,
                std::string(name) + " is '" + *value + "', an absolute path is needed");
  }
  return path;
}

std::optional<std::size_t> environment_choice(const char* name,
                                              std::span<const std::string_view> choices) {
  const auto value = environment(name);
  if (!value) return std::nullopt;
  const auto found = std::ranges::find(choices, *value);
  if (found == choices.end()) {
    throw Error(ErrorCode::invalid_config, std::string(name) + " is '" + *value + "', one of " +
                                               llvm::join(choices, ", ") + " is needed");
  }
  return static_cast<std::size_t>(found - choices.begin());
}

std::vector<std::string> environment_with_prefixes(std::span<const std::string_view> prefixes) {
  std::vector<std::string> found;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    if (llvm::any_of(prefixes, [&](std::string_view prefix) { return text.starts_with(prefix); })) {
      found.emplace_back(text);
    }
  }
  std::ranges::sort(found);
  return found;
}

void warn_of_unknown_variables() {
  // Of the library, of the emulator, and of bench/ and tests/.
  constexpr std::string_view known[] = {
      "STREAMATTN_NVRTC",    "STREAMATTN_CACHE_DIR", "STREAMATTN_LOG",    "STREAMATTN_CACHE_MODE",
      "STREAMATTN_HOST_CXX", "STREAMATTN_LIBRARY",   "STREAMATTN_APPROVE"};
  constexpr std::string_view prefixes[] = {"STREAMATTN_"};
  for (const std::string& variable : environment_with_prefixes(prefixes)) {
    const std::string name = variable.substr(0, variable.find('='));
    if (llvm::is_contained(known, name)) continue;
    log_once(LogLevel::warning, LogTopic::config,
             "nothing reads the variable " + name + ", " + did_you_mean(name, known));
  }
}

}  // namespace streamattn
