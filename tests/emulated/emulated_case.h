// One golden kernel on the emulator, as it stands or with a fault planted in its templates.
#pragma once

#include <string>

#include "emulator/emulated_kernel.h"
#include "tests/support/forward_case.h"
#include "tests/support/golden_cases.h"

namespace streamattn {

/// The golden case of this name.
GoldenCase golden_case(const std::string& name);

/// A replacement of text in a device template.
struct Fault {
  const char* file;  ///< such as "forward/flash_wgmma.cuh"
  const char* from;  ///< must occur there
  const char* to;    ///< takes its place everywhere
};

/// The template with the fault in it. Fails the test where it has not the text to be replaced.
std::string faulty_text(const Fault& fault);

/// What the emulator says of the golden kernel with `fault`: its report, "wrong result" if there is
/// none but the result is off, "nothing" if all is well.
std::string report_of(const GoldenCase& golden, const Fault& fault, const Shape& shape,
                      std::uint64_t seed);

}  // namespace streamattn
