// Which tiles of queries and keys a mask fills, cuts and leaves out.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/family_answers.h"
#include "compiler/operations/forward/row_set.h"
#include "tools/masked_call.h"

namespace streamattn {

/// Numbers of tiles over batch and heads; not whole where they are estimates.
struct TileCounts {
  double full = 0;     ///< every query sees every key
  double partial = 0;  ///< visited, and elements are tested
  double all = 0;

  double visited() const { return full + partial; }
  double skipped() const { return all - visited(); }
};

/// The key tiles that the queries of one tile visit.
struct TileRow {
  std::int64_t q_tile;
  RowSet full, partial;  ///< of key tiles
};

/// Which head a map is drawn of.
struct HeadIndex {
  std::int64_t batch = 0, head = 0;
};

/// Tiles by the closed forms of the mask; and, if `by_elements`, those that these leave open by
/// their elements.
struct TileMap {
  /// Looks at no more than about `most` elements: of more, at evenly spaced queries and heads. Of
  /// tiles that heads share, `by_elements` is false, and the mask's ranges are those of all heads.
  /// Throws Error (invalid_config) for a head that the call does not have.
  TileMap(const MaskedCall& masked, TileWalk walk, bool by_elements, HeadIndex head, double most);

  /// The position of the first query of a tile.
  std::int64_t position_of(std::int64_t q_tile) const {
    return q_position + q_tile * tile.rows / tile.heads;
  }

  TileWalk tile;
  HeadIndex drawn;
  std::int64_t q_tiles, kv_tiles;       ///< of a head, or of those that share tiles
  std::int64_t q_position, k_position;  ///< of the first row
  std::int64_t q_len, kv_len;
  TileCounts counts;
  bool is_by_elements;
  bool is_estimate;
  std::vector<TileRow> rows;  ///< of the drawn head, ascending: all, or those that were looked at
};

}  // namespace streamattn
