// Log lines by level and topic: rate-limited, to stderr or to a callback.
#pragma once

#include <functional>
#include <string_view>

namespace streamattn {

enum class LogLevel { off, error, warning, info, debug };

enum class LogTopic { key, cache, compile, load, launch, tune, security };

/// Whether a line would be printed; one relaxed atomic read.
bool log_enabled(LogLevel level, LogTopic topic);

/// Prints one line. A topic that speaks more than 10 times in 10 seconds at one level is cut short;
/// its next line says how many were left out.
void log(LogLevel level, LogTopic topic, std::string_view message);

/// Prints a line the first time a process logs this message, then never again.
void log_once(LogLevel level, LogTopic topic, std::string_view message);

/// What is printed: "level" or "level:topic:topic...", as in "debug:cache:compile". Without topics,
/// all of them. Until set, warnings and errors of every topic. Throws Error (invalid_config) that
/// begins with `origin`, such as "STREAMATTN_LOG".
void set_log_level(std::string_view setting, std::string_view origin);

/// set_log_level() from STREAMATTN_LOG where that is set.
void set_log_level_from_environment();

/// Receives every printed line instead of stderr; an empty function gives it back to stderr. A new
/// receiver has heard nothing yet. Called by one thread at a time; it must neither
/// log nor fork.
using LogCallback = std::function<void(LogLevel, LogTopic, std::string_view message)>;
void set_log_callback(LogCallback callback);

}  // namespace streamattn
