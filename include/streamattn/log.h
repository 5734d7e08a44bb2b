// Log lines: which are printed, and where they go.
#pragma once

#include <functional>
#include <string_view>

#include "streamattn/export.h"

namespace streamattn {

enum class LogLevel { off, error, warning, info, debug };

/// Which lines are printed: "level" or "level:topic:topic...", as in "debug:cache:compile"; without
/// topics, all of them. Until set, warnings and errors of every topic. A STREAMATTN_LOG in the
/// environment takes its place when a Jit is created. Throws Error (invalid_config) that lists the
/// levels or topics.
STREAMATTN_API void set_log_level(std::string_view setting);

/// Receives every line that is printed, instead of stderr; `topic` is as in set_log_level(). Called
/// by one thread at a time. It must neither throw, fork nor call this library.
using LogCallback =
    std::function<void(LogLevel level, std::string_view topic, std::string_view message)>;

/// An empty function gives the lines back to stderr. A new receiver has heard nothing yet: what is
/// said once is said again. The receiver before is no longer called when this returns.
STREAMATTN_API void set_log_callback(LogCallback callback);

}  // namespace streamattn
