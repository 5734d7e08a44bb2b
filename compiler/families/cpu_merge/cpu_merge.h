// The host CPU's family for merging shares, which is built into the library.
#pragma once

#include "compiler/families/family.h"

namespace streamattn {

/// Its knobs.
struct CpuMergeSchedule {
  static constexpr std::string_view family = "cpu_merge";

  int tile_q = 64;  ///< rows that a thread takes at a time

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visit) {
    visit("tile_q", self.tile_q, KnobUse::launch);
  }
};

Family cpu_merge_family();

}  // namespace streamattn
