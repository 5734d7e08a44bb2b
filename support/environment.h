// Reading environment variables: what is unset, empty or untrusted is absent; what is wrong is an
// error that names the variable.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace streamattn {

/// The value of a variable. Nothing if it is unset or empty, or if the process runs with raised
/// privileges, where the environment belongs to somebody else.
std::optional<std::string> environment(const char* name);

/// An absolute path. Throws Error (invalid_config) for a relative one, whose meaning would change
/// with the working directory.
std::optional<std::filesystem::path> environment_path(const char* name);

/// The position in `choices` of the value. Throws Error (invalid_config) that lists the choices.
std::optional<std::size_t> environment_choice(const char* name,
                                              std::span<const std::string_view> choices);

/// "NAME=value" of every variable whose name begins with one of `prefixes`, sorted.
std::vector<std::string> environment_with_prefixes(std::span<const std::string_view> prefixes);

/// Logs a warning, once in a process, for every variable that looks like ours and is none: a name
/// that begins with STREAMATTN_ and that nothing here reads.
void warn_of_unknown_variables();

}  // namespace streamattn
