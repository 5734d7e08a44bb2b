// toml++ for text that anybody may have written: bounded, and what it takes for granted is checked.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace streamattn {

/// Throws toml::parse_error.
[[noreturn]] void fail_toml_check();

}  // namespace streamattn

// In a release build, toml++ lets the optimiser assume what it asserts in a debug build, and
// version 3.3 is wrong about that for texts such as "a = [}".
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(condition) ((condition) ? void() : ::streamattn::fail_toml_check())
#define TOML_MAX_NESTED_VALUES 16
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

namespace streamattn {

/// The most a text may have. It is more than any table of schedules needs, and little enough that a
/// tree of it can be walked and destroyed by recursion on a small stack.
inline constexpr std::size_t most_toml_bytes = 16 << 20;
inline constexpr std::size_t most_toml_dots_per_line = 256;  ///< parts of a key, nearly

/// The document in `text`. Throws toml::parse_error, also for a text beyond these limits.
toml::table parse_toml(std::string_view text);

/// `text` as a basic string of TOML, in quotes.
std::string toml_string(std::string_view text);

}  // namespace streamattn
