// `streamattn run --emulate`: a GPU kernel on the CPU.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "measure/operands.h"
#include "tools/problem_flags.h"

namespace streamattn {

/// What --emulate and --trace say.
struct EmulateFlags {
  bool emulate = false;
  std::optional<std::string> trace;  ///< file

  void add_to(Flags& flags);
};

/// Runs the kernel of `call` on the emulator, warps in an order drawn by `seed`, and fills in the
/// outputs of `tensors`. Writes the timeline to `trace_file` where one is given. Returns what the
/// kernel says of itself. Throws Error: launch_failed with the report of a broken contract,
/// invalid_config where this build has no emulator or the file cannot be written.
std::string run_emulated(const Call& call, const ScheduleFlags& schedule, std::uint64_t seed,
                         const std::optional<std::string>& trace_file, HostTensors& tensors);

}  // namespace streamattn
