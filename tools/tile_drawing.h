// Draws tile maps: as text and as SVG.
#pragma once

#include <llvm/Support/raw_ostream.h>

#include <string>

#include "tools/tile_map.h"

namespace streamattn {

/// What is drawn in one place: some neighbouring tiles.
enum class Cell { skipped, partial, full };

/// A map scaled down to a number of cells.
struct TileGrid {
  /// No more than this many rows and columns.
  TileGrid(const TileMap& map, std::int64_t most_rows, std::int64_t most_columns);

  std::int64_t q_tiles, kv_tiles;  ///< of a cell
  std::int64_t rows, columns;
  std::vector<Cell> cells;  ///< row by row; partial where its tiles differ

  Cell at(std::int64_t row, std::int64_t column) const { return cells[row * columns + column]; }
};

/// The map in lines of at most `width` characters, each a tile or a block of tiles: '#' full, '+'
/// partial, '.' skipped. Queries go down, keys to the right. With a legend.
void draw_text(const TileMap& map, int width, llvm::raw_ostream& out);

/// The map as a drawing that stands for itself, `title` above it.
void draw_svg(const TileMap& map, const std::string& title, llvm::raw_ostream& out);

}  // namespace streamattn
