// The family of the host CPU: a tiled online softmax that is built into the library.
#pragma once

#include "compiler/families/family.h"

namespace streamattn {

/// Its knobs.
struct CpuSchedule {
  static constexpr std::string_view family = "cpu_tiled";

  int tile_q = 96;    ///< most query rows, over all heads that share keys, worked on at a time
  int tile_kv = 256;  ///< keys worked on at a time

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visit) {
    visit("tile_q", self.tile_q, KnobUse::launch);
    visit("tile_kv", self.tile_kv, KnobUse::launch);
  }
};

Family cpu_tiled_family();

}  // namespace streamattn
