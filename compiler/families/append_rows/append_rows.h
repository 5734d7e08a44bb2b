// The GPU's family for appending to caches: templates/append/append_rows.cuh.
#pragma once

#include "compiler/families/family.h"
#include "templates/append/append_params.h"

namespace streamattn {

/// The knobs of the family.
struct AppendSchedule {
  static constexpr std::string_view family = "append_rows";

  int threads = 256;   ///< of a block
  int item_heads = 0;  ///< heads of a token that a lane goes through; 0: by shape

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visit) {
    visit("threads", self.threads, KnobUse::compiled);
    visit("item_heads", self.item_heads, KnobUse::launch);
  }
};

Family append_rows_family();

/// See Family.
Plan append_plan(const Problem& problem, const Schedule& schedule, const ResolvedCall& call,
                 const DeviceFacts& device, WorkspaceSlices& workspace);

/// Threads that a multiprocessor holds: up to 80 registers each.
inline constexpr int append_threads = 768;

/// Lanes that a row of the problem takes.
int append_lanes(const Problem& problem);

}  // namespace streamattn
