// Log lines by level and topic: rate-limited, to stderr or to a callback.
#pragma once

#include <string_view>

#include "streamattn/log.h"

namespace streamattn {

enum class LogTopic { key, cache, compile, config, load, launch, tune, security };

/// Whether a line would be printed; one relaxed atomic read.
bool log_enabled(LogLevel level, LogTopic topic);

/// Prints one line. A topic that speaks more than 10 times in 10 seconds at one level is cut short;
/// its next line says how many were left out.
void log(LogLevel level, LogTopic topic, std::string_view message);

/// Prints a line the first time a process logs this message, then never again.
void log_once(LogLevel level, LogTopic topic, std::string_view message);

/// set_log_level() whose message begins with `origin`, such as "STREAMATTN_LOG".
void set_log_level(std::string_view setting, std::string_view origin);

/// set_log_level() from STREAMATTN_LOG where that is set.
void set_log_level_from_environment();

}  // namespace streamattn
