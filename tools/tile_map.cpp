// Classifies tiles.
#include "tools/tile_map.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>

#include "runtime/cpu/threads.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// The middles of `count` equal parts of [0, all).
std::int64_t spread(std::int64_t i, std::int64_t count, std::int64_t all) {
  return static_cast<std::int64_t>((static_cast<double>(i) + 0.5) * static_cast<double>(all) /
                                   static_cast<double>(count));
}

/// Looks at tiles, for one thread.
class Classifier {
 public:
  /// Of the queries of a tile it looks at each `stride`-th.
  Classifier(const MaskedCall& masked, TileWalk tile, std::int64_t stride)
      : call_(masked.call()),
        tile_(tile),
        stride_(stride),
        key_rows_(masked.exprs().ranges, call_),
        mask_(masked.exprs(), call_),
        seen_(tile.keys) {}

  TileRow by_ranges(HeadIndex head, std::int64_t q_tile) {
    const Rows own = queries(q_tile), asked = tile_.is_of_sequence ? Rows{0, call_.q_len()} : own;
    RowSet visited;
    TileRow row{.q_tile = q_tile, .full = {}, .partial = {}};
    for (const Rows& range : key_rows_.of(head.batch, head.head, asked).seen)
      visited.add({range.begin / tile_.keys, ceil_div(range.end, tile_.keys)});
    // The last tile is as long as there are keys.
    for (const Rows& range : key_rows_.of(head.batch, head.head, own).full)
      row.full.add({ceil_div(range.begin, tile_.keys), range.end == call_.kv_len()
                                                           ? ceil_div(range.end, tile_.keys)
                                                           : range.end / tile_.keys});
    row.partial = visited.without(row.full);
    return row;
  }

  TileRow by_elements(HeadIndex head, std::int64_t q_tile) {
    const TileRow known = by_ranges(head, q_tile);
    TileRow row{.q_tile = q_tile, .full = known.full, .partial = {}};
    for (const Rows& range : known.partial) {
      for (std::int64_t tile = range.begin; tile < range.end; tile++) {
        const auto [some, all] = look(head, queries(q_tile), tile);
        if (some) (all ? row.full : row.partial).add({tile, tile + 1});
      }
    }
    return row;
  }

 private:
  struct Found {
    bool some = false, all = true;
  };

  Rows queries(std::int64_t q_tile) const {
    return {q_tile * tile_.rows / tile_.heads,
            std::min(ceil_div((q_tile + 1) * tile_.rows, tile_.heads), call_.q_len())};
  }

  /// At the elements of a tile until it is clear that it is cut.
  Found look(HeadIndex head, Rows queries, std::int64_t tile) {
    Found found;
    const std::int64_t first = tile * tile_.keys;
    const std::int64_t keys = std::min(tile_.keys, call_.kv_len() - first);
    for (std::int64_t row = queries.begin; row < queries.end; row += stride_) {
      mask_.see({head.batch, head.head, row}, first, keys, seen_.data());
      const auto count = std::count(seen_.begin(), seen_.begin() + keys, 1);
      found.some = found.some || count > 0;
      found.all = found.all && count == keys;
      if (found.some && !found.all) break;
    }
    return found;
  }

  const ForwardCall& call_;
  TileWalk tile_;
  std::int64_t stride_;
  KeyRowEvaluator key_rows_;
  CallEvaluator<float> mask_;
  std::vector<std::uint8_t> seen_;
};

/// How many tiles of queries of how many heads are looked at, and at which of the queries of each:
/// every `stride`-th.
struct Sample {
  std::int64_t q_tiles, heads, stride = 1;
};

constexpr std::int64_t fewest_q_tiles = 32;  // what a drawing needs

Sample sample(const TileMap& map, std::int64_t heads, double share) {
  const auto part = [](std::int64_t all, double of_all, std::int64_t least) {
    return std::clamp(static_cast<std::int64_t>(static_cast<double>(all) * of_all),
                      std::min(least, all), all);
  };
  const std::int64_t q_tiles = part(map.q_tiles, share, fewest_q_tiles);
  const double left = share * static_cast<double>(map.q_tiles) / static_cast<double>(q_tiles);
  return {q_tiles, part(heads, std::min(left, 1.0), 1)};
}

/// Heads of a batch entry, or sets of heads that share tiles, that the mask tells apart.
std::int64_t owners_of_batch(const MaskedCall& masked, const TileWalk& walk) {
  return ceil_div(masked.heads(), walk.heads);
}

TileCounts count(const MaskedCall& masked, const TileMap& map, Sample sample, bool by_elements) {
  constexpr std::int64_t piece = 16;
  const std::int64_t owners = owners_of_batch(masked, map.tile), heads = masked.batches() * owners,
                     rows = sample.heads * sample.q_tiles;
  std::atomic<std::int64_t> full = 0, partial = 0;
  parallel_for(ceil_div(rows, piece), 0, [&](std::int64_t i) {
    Classifier classifier(masked, map.tile, sample.stride);
    for (std::int64_t at = i * piece; at < std::min((i + 1) * piece, rows); at++) {
      const std::int64_t owner = spread(at / sample.q_tiles, sample.heads, heads);
      const HeadIndex head = {owner / owners, owner % owners * map.tile.heads};
      const std::int64_t q_tile = spread(at % sample.q_tiles, sample.q_tiles, map.q_tiles);
      const TileRow row =
          by_elements ? classifier.by_elements(head, q_tile) : classifier.by_ranges(head, q_tile);
      full += row.full.count();
      partial += row.partial.count();
    }
  });
  const auto all =
      static_cast<double>(map.q_tiles * map.kv_tiles) *
      static_cast<double>(masked.call().batch() * masked.call().heads() / map.tile.heads);
  const double looked_at = static_cast<double>(rows) * static_cast<double>(map.kv_tiles);
  if (looked_at == 0) return {};
  const double factor = all / looked_at;
  return {static_cast<double>(full) * factor, static_cast<double>(partial) * factor, all};
}

}  // namespace

TileMap::TileMap(const MaskedCall& masked, TileWalk walk, bool by_elements, HeadIndex head,
                 double most)
    : tile(walk),
      drawn(head),
      q_tiles(ceil_div(masked.call().q_len() * walk.heads, walk.rows)),
      kv_tiles(ceil_div(masked.call().kv_len(), walk.keys)),
      q_position(masked.call().q_position),
      k_position(masked.call().k_position),
      q_len(masked.call().q_len()),
      kv_len(masked.call().kv_len()),
      is_by_elements(by_elements),
      is_estimate(false) {
  const ForwardCall& call = masked.call();
  const auto require = [](const char* flag, std::int64_t given, std::int64_t all) {
    if (given >= 0 && (given < all || given == 0)) return;
    throw Error(ErrorCode::invalid_config, std::string(flag) + " " + std::to_string(given) +
                                               " is not one of " + std::to_string(all));
  };
  require("--map-batch", head.batch, call.batch());
  require("--map-head", head.head, call.heads());
  const std::int64_t heads = masked.batches() * owners_of_batch(masked, walk);
  if (heads * q_tiles * kv_tiles == 0) return;

  constexpr double most_rows = 1 << 20;
  double share = std::min(1.0, most_rows / static_cast<double>(heads * q_tiles));
  Sample looked_at = sample(*this, heads, share);
  counts = count(masked, *this, looked_at, false);
  if (by_elements) {
    const double elements = counts.partial / masked.repeats() * static_cast<double>(walk.rows) *
                            static_cast<double>(walk.keys);
    share = std::min(share, most / std::max(elements, 1.0));
    looked_at = sample(*this, heads, share);
    const double part = static_cast<double>(looked_at.q_tiles * looked_at.heads) /
                        static_cast<double>(q_tiles * heads);
    looked_at.stride = std::clamp(static_cast<std::int64_t>(std::ceil(elements * part / most)),
                                  std::int64_t{1}, walk.rows);
    counts = count(masked, *this, looked_at, true);
  }
  is_estimate = looked_at.q_tiles < q_tiles || looked_at.heads < heads || looked_at.stride > 1;
  rows.resize(looked_at.q_tiles);
  parallel_for(looked_at.q_tiles, 0, [&](std::int64_t i) {
    Classifier classifier(masked, tile, looked_at.stride);
    const std::int64_t q_tile = spread(i, looked_at.q_tiles, q_tiles);
    rows[i] = is_by_elements ? classifier.by_elements(drawn, q_tile)
                             : classifier.by_ranges(drawn, q_tile);
  });
}

}  // namespace streamattn
