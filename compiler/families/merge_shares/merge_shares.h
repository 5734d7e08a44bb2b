// The GPU's family for merging shares: templates/merge/merge_shares.cuh.
#pragma once

#include "compiler/families/family.h"
#include "templates/merge/merge_params.h"

namespace streamattn {

/// The knobs of the family.
struct MergeSchedule {
  static constexpr std::string_view family = "merge_shares";

  int threads = 128;  ///< of a block

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visit) {
    visit("threads", self.threads, KnobUse::compiled);
  }
};

Family merge_shares_family();

}  // namespace streamattn
