// A family for the test of what a family costs: attention to one key, which is to copy V.
#pragma once

#include "compiler/families/family.h"

namespace streamattn {

/// Its knobs.
struct CopyVSchedule {
  static constexpr std::string_view family = "copy_v";

  int threads = 128;  ///< of a block, one for every row of O

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visit) {
    visit("threads", self.threads, KnobUse::compiled);
  }
};

Family copy_v_family();

}  // namespace streamattn
