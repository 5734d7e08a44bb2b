// --l2 and --launch: how calls are timed.
#pragma once

#include "measure/timing_policy.h"
#include "tools/flags.h"

namespace streamattn {

void read_value(llvm::StringRef flag, llvm::StringRef text, CacheState& value);
void read_value(llvm::StringRef flag, llvm::StringRef text, LaunchMode& value);

/// Adds the flags; `wish` must outlive parsing.
void add_timing_flags(Flags& flags, TimingWish& wish);

/// The flags that ask for the same.
std::vector<std::string> timing_flags(const TimingWish& wish);

}  // namespace streamattn
