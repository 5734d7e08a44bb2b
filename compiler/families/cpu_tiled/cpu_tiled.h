// The family of the host CPU: a tiled online softmax that is built into the library.
#pragma once

#include "compiler/families/family.h"

namespace streamattn {

Family cpu_tiled_family();

}  // namespace streamattn
