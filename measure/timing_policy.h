// How calls are timed: what the L2 holds before each, and how each is launched.
#pragma once

#include <optional>
#include <string_view>

namespace streamattn {

/// What a call finds in the L2: nothing of its tensors, or what the call before it left.
enum class CacheState { cold, warm };

/// Whether the host enqueues every call, or replays a CUDA graph that holds one.
enum class LaunchMode { eager, graph };

/// The enumerators' names; and back, throws Error (invalid_argument) that lists them.
std::string_view name(CacheState state);
std::string_view name(LaunchMode mode);
CacheState parse_cache_state(std::string_view text);
LaunchMode parse_launch_mode(std::string_view text);

struct TimingPolicy {
  CacheState l2 = CacheState::cold;
  LaunchMode launch = LaunchMode::eager;
};

/// What somebody asks for. What is left open is as usual: a cold L2 on a GPU, warm caches on the
/// CPU, launches from the host.
struct TimingWish {
  std::optional<CacheState> l2 = {};
  std::optional<LaunchMode> launch = {};
};

}  // namespace streamattn
