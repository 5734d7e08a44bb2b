// The files built into the library.
#pragma once

#include <span>

#include "support/embedded_file.h"

namespace streamattn {

/// Device templates, named by their path below templates/.
std::span<const EmbeddedFile> embedded_templates();

}  // namespace streamattn
