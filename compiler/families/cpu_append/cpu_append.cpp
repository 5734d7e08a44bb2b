// Schedules of the CPU's append kernel, which needs no source.
#include "compiler/families/cpu_append/cpu_append.h"

#include "compiler/families/cpu_family.h"

namespace streamattn {

Family cpu_append_family() {
  return cpu_family<CpuAppendSchedule>(
      Operation::append, [](const Problem&, const Target&) { return std::string(); },
      [](const Problem&, const Schedule& schedule, const Target&) {
        return refuse_tile(settings_of<CpuAppendSchedule>(schedule).tile_q);
      });
}

}  // namespace streamattn
