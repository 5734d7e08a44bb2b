// Reads policies.
#include "tools/timing_flags.h"

#include "streamattn/error.h"

namespace streamattn {
namespace {

template <class Value>
Value parsed(llvm::StringRef flag, llvm::StringRef text, Value (*parse)(std::string_view)) {
  try {
    return parse({text.data(), text.size()});
  } catch (const Error& error) {
    throw Error(ErrorCode::invalid_config, "--" + flag.str() + ": " + error.what());
  }
}

}  // namespace

void read_value(llvm::StringRef flag, llvm::StringRef text, CacheState& value) {
  value = parsed(flag, text, parse_cache_state);
}

void read_value(llvm::StringRef flag, llvm::StringRef text, LaunchMode& value) {
  value = parsed(flag, text, parse_launch_mode);
}

void add_timing_flags(Flags& flags, TimingWish& wish) {
  flags.add("l2", "cold|warm", "what a call finds in the L2 (cold; on the CPU warm)", wish.l2);
  flags.add("launch", "eager|graph", "launch every call, or replay it in a CUDA graph (eager)",
            wish.launch);
}

std::vector<std::string> timing_flags(const TimingWish& wish) {
  std::vector<std::string> flags;
  if (wish.l2) flags.insert(flags.end(), {"--l2", std::string(name(*wish.l2))});
  if (wish.launch) flags.insert(flags.end(), {"--launch", std::string(name(*wish.launch))});
  return flags;
}

}  // namespace streamattn
