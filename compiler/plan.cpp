// Plans, by way of the family.
#include "compiler/plan.h"

#include "compiler/families/family.h"

namespace streamattn {

Plan plan(const Problem& problem, const Schedule& schedule, const ResolvedCall& call,
          const DeviceFacts& device, WorkspaceSlices& workspace) {
  return find_family(schedule.family()).plan(problem, schedule, call, device, workspace);
}

std::size_t workspace_bytes(const Problem& problem, const Schedule& schedule,
                            const ResolvedCall& call, int multiprocessors, std::int64_t l2_bytes) {
  const auto no_map = [](const char*, const BoxedTensor&) { return TensorMap{}; };
  const auto no_words = [](int) -> unsigned* { return nullptr; };
  WorkspaceSlices slices;
  plan(problem, schedule, call, {multiprocessors, l2_bytes, no_map, no_words}, slices);
  return slices.bytes();
}

}  // namespace streamattn
