// Schedules of the CPU's merge kernel, which needs no source.
#include "compiler/families/cpu_merge/cpu_merge.h"

#include "compiler/families/cpu_family.h"

namespace streamattn {

Family cpu_merge_family() {
  return cpu_family<CpuMergeSchedule>(
      Operation::merge, [](const Problem&, const Target&) { return std::string(); },
      [](const Problem&, const Schedule& schedule, const Target&) {
        return refuse_tile(settings_of<CpuMergeSchedule>(schedule).tile_q);
      });
}

}  // namespace streamattn
