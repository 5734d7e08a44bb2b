// Names of policies.
#include "measure/timing_policy.h"

#include <iterator>
#include <string>

#include "streamattn/error.h"
#include "support/did_you_mean.h"

namespace streamattn {
namespace {

constexpr std::string_view cache_states[] = {"cold", "warm"};
constexpr std::string_view launch_modes[] = {"eager", "graph"};

template <class Enumeration, std::size_t count>
Enumeration parse(const char* what, std::string_view text, const std::string_view (&names)[count]) {
  for (std::size_t i = 0; i < count; i++)
    if (names[i] == text) return static_cast<Enumeration>(i);
  throw Error(ErrorCode::invalid_argument, "unknown " + std::string(what) + " \"" +
                                               std::string(text) + "\", " +
                                               did_you_mean(text, names));
}

}  // namespace

std::string_view name(CacheState state) { return cache_states[static_cast<int>(state)]; }
std::string_view name(LaunchMode mode) { return launch_modes[static_cast<int>(mode)]; }

CacheState parse_cache_state(std::string_view text) {
  return parse<CacheState>("state of the L2", text, cache_states);
}

LaunchMode parse_launch_mode(std::string_view text) {
  return parse<LaunchMode>("way to launch", text, launch_modes);
}

}  // namespace streamattn
