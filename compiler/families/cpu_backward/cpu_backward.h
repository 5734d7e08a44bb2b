// The host CPU's family for the backward pass, which is built into the library.
#pragma once

#include "compiler/families/family.h"

namespace streamattn {

/// Its knobs.
struct CpuBackwardSchedule {
  static constexpr std::string_view family = "cpu_backward";

  int tile_q = 64;    ///< query rows worked on at a time
  int tile_kv = 128;  ///< keys worked on at a time

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visit) {
    visit("tile_q", self.tile_q, KnobUse::launch);
    visit("tile_kv", self.tile_kv, KnobUse::launch);
  }
};

Family cpu_backward_family();

}  // namespace streamattn
