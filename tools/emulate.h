// `streamattn run --emulate`: a GPU kernel on the CPU.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "measure/append_operands.h"
#include "measure/backward_operands.h"
#include "measure/merge_case.h"
#include "tools/problem_flags.h"

namespace streamattn {

/// What --emulate and --trace say.
struct EmulateFlags {
  bool emulate = false;
  std::optional<std::string> trace;  ///< file

  void add_to(Flags& flags);
};

/// Runs the kernel of `call` on the emulator, warps in an order drawn by its seed, and fills in the
/// outputs of `tensors`, those of the call in its operation. Writes the timeline to
/// `trace_file` where one is given. Returns what the kernel says of itself. Throws Error:
/// launch_failed with the report of a broken contract, invalid_config where this build has no
/// emulator or the file cannot be written.
template <class Tensors>
std::string run_emulated(const ForwardCase& call, const ScheduleFlags& schedule,
                         const std::optional<std::string>& trace_file, Tensors& tensors);

}  // namespace streamattn
