// emulator/ptx as files in the library.
#pragma once

#include <span>

#include "support/embedded_file.h"

namespace streamattn {

/// Named as the templates that they replace.
std::span<const EmbeddedFile> embedded_ptx();

}  // namespace streamattn
