// What ptxas says of a kernel in NVRTC's log.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "streamattn/compiler.h"

namespace streamattn {

struct PtxasReport {
  Resources resources;
  std::vector<std::string> advisories;
};

/// Reads the log of a compile with --ptxas-options=-v. Registers and memory are those of `entry`;
/// spills count in every function it may call. Advisories are the lines of C7508 to C7519 (wgmma
/// serialised, setmaxnreg ignored, waits injected), each once, and one line where anything spills.
PtxasReport parse_ptxas_log(std::string_view log, std::string_view entry);

/// The first lines of the log that say why a compile failed, with their context. Empty if none do.
std::string first_errors(std::string_view log);

}  // namespace streamattn
