// The list of families.
#include "compiler/families/cpu_tiled/cpu_tiled.h"
#include "compiler/families/flash_wgmma/flash_wgmma.h"

namespace streamattn {

std::span<const Family> families() {
  static const Family list[] = {flash_wgmma_family(), cpu_tiled_family()};
  return list;
}

}  // namespace streamattn
