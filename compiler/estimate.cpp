// Asks families for their models, and counts the keys that a mask shows.
#include "compiler/estimate.h"

#include <algorithm>

#include "compiler/expr/evaluate.h"
#include "compiler/expr/key_ranges.h"
#include "compiler/expr/node.h"
#include "compiler/families/family.h"

namespace streamattn {

Estimate estimate(const Problem& problem, const Schedule& schedule, const Shape& shape,
                  const Target& target) {
  const Family& family = find_family(schedule.family());
  return family.estimate ? family.estimate(problem, schedule, shape, target) : Estimate{};
}

std::vector<Schedule> launch_choices(const Problem& problem, const Schedule& schedule,
                                     const Shape& shape, const Target& target) {
  const Family& family = find_family(schedule.family());
  if (!family.launch_choices) return {schedule};
  return family.launch_choices(problem, schedule, shape, target);
}

std::int64_t walked_keys(const Expr& mask, std::int64_t q_first, std::int64_t q_end,
                         std::int64_t kv_len) {
  std::int64_t keys = 0;
  for (const KeyRange& range : KeyRanges(mask).seen) {
    if (range.begin.node().has_names || range.end.node().has_names) return kv_len;
    const ExprPoint point{.q_len = q_end, .kv_len = kv_len, .q_first = q_first, .q_end = q_end};
    const std::int64_t begin = std::max<std::int64_t>(integer_at(range.begin, point), 0);
    const std::int64_t end = std::min(integer_at(range.end, point), kv_len);
    keys += std::max<std::int64_t>(end - begin, 0);
  }
  return std::min(keys, kv_len);
}

}  // namespace streamattn
