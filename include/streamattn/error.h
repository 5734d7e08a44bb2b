// The one exception type of the library.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "streamattn/export.h"

namespace streamattn {

enum class ErrorCode {
  invalid_argument,     ///< a value given to a call is wrong in itself
  invalid_problem,      ///< the problem contradicts itself
  unsupported_problem,  ///< no family serves the problem; the message has every family's reason
  invalid_schedule,     ///< the schedule cannot serve the problem on the target
  invalid_config,       ///< a TOML file, environment variable or flag; the message says where
  nvrtc_missing,   ///< no usable NVRTC was found and no cached kernel fits; the message lists the
                   ///< verdict on each candidate
  compile_failed,  ///< NVRTC refused the source; the message has its log
  no_driver,       ///< libcuda is missing, a stub, or too old
  no_device,       ///< there is a driver, but no usable device
  load_failed,     ///< the driver refused a binary
  launch_failed,   ///< the driver refused a launch, or an earlier one broke the context, or the CPU
                   ///< target got no memory
  cache_refused,   ///< the cache directory is not safe to use (cache commands only)
  cache_io,        ///< the cache directory cannot be read or written (cache commands only)
};

/// The stable name of a code, such as "unsupported_problem".
STREAMATTN_API std::string_view name(ErrorCode code);

/// What every fallible call of the library throws. what() says what was found and what was needed.
/// Only std::bad_alloc passes through besides.
class STREAMATTN_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace streamattn
