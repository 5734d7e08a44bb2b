// How key tiles of the backward pass are cut by queries, so that no multiprocessor idles at the
// end.
#include <algorithm>

#include "compiler/families/backward_wgmma/backward_wgmma.h"

namespace streamattn {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// In visits: what an item costs besides its own (at head_dim 128 and 16 visits, 2.5), and the
// kernel that sums parts.
constexpr std::int64_t item_visits = 3, sum_visits = 4;
// More would only be more to search, and to sum.
constexpr std::int64_t most_parts = 40;

}  // namespace

BackwardCut backward_cut(std::int64_t key_tiles, std::int64_t query_tiles, int group_size,
                         int blocks, bool is_masked) {
  if (is_masked && key_tiles > blocks) return {};
  const std::int64_t left_over = key_tiles % blocks;
  const auto visits = [&](std::int64_t tiles) { return tiles * group_size + item_visits; };
  BackwardCut best;
  std::int64_t least = visits(query_tiles);
  for (std::int64_t n = 2; left_over > 0 && n <= std::min(most_parts, query_tiles); n++) {
    const std::int64_t tiles = ceil_div(query_tiles, n), parts = ceil_div(query_tiles, tiles);
    const std::int64_t cost = ceil_div(left_over * parts, blocks) * visits(tiles) + sum_visits;
    if (cost >= least) continue;
    least = cost;
    best = {static_cast<int>(left_over), static_cast<int>(parts), static_cast<int>(tiles)};
  }
  return best;
}

}  // namespace streamattn
