// The host CPU's family for appending to caches, which is built into the library.
#pragma once

#include "compiler/families/family.h"

namespace streamattn {

/// Its knobs.
struct CpuAppendSchedule {
  static constexpr std::string_view family = "cpu_append";

  int tile_q = 64;  ///< new rows that a thread takes at a time

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visit) {
    visit("tile_q", self.tile_q, KnobUse::launch);
  }
};

Family cpu_append_family();

}  // namespace streamattn
