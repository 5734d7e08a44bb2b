// A text file that was built into the library.
#pragma once

#include <span>
#include <string_view>

namespace streamattn {

struct EmbeddedFile {
  std::string_view name;  ///< path below the folder it came from, such as "ptx/wgmma.cuh"
  std::string_view text;
};

}  // namespace streamattn
