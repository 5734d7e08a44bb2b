// Names of error codes, and what becomes of LLVM's own errors.
#include "streamattn/error.h"

#include <llvm/Support/ErrorHandling.h>

#include <new>

namespace streamattn {
namespace {

// Where memory runs out, LLVM's containers end the process unless they are told otherwise. Here, as
// whoever has them in this library has errors, too.
[[maybe_unused]] const bool llvm_throws = [] {
  llvm::install_bad_alloc_error_handler([](void*, const char*, bool) { throw std::bad_alloc(); });
  return true;
}();

}  // namespace

std::string_view name(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::invalid_problem:
      return "invalid_problem";
    case ErrorCode::unsupported_problem:
      return "unsupported_problem";
    case ErrorCode::invalid_schedule:
      return "invalid_schedule";
    case ErrorCode::invalid_config:
      return "invalid_config";
    case ErrorCode::nvrtc_missing:
      return "nvrtc_missing";
    case ErrorCode::compile_failed:
      return "compile_failed";
    case ErrorCode::no_driver:
      return "no_driver";
    case ErrorCode::no_device:
      return "no_device";
    case ErrorCode::load_failed:
      return "load_failed";
    case ErrorCode::launch_failed:
      return "launch_failed";
    case ErrorCode::cache_refused:
      return "cache_refused";
    case ErrorCode::cache_io:
      return "cache_io";
  }
  return "unknown";
}

}  // namespace streamattn
