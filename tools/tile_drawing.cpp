// Draws tile maps.
#include "tools/tile_drawing.h"

#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/Format.h>
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

namespace streamattn {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Tiles of [begin, end) that are in the set.
std::int64_t count_in(const RowSet& set, Rows tiles) {
  std::int64_t count = 0;
  for (const Rows& range : set)
    count += std::max<std::int64_t>(overlap(range, tiles).end - overlap(range, tiles).begin, 0);
  return count;
}

std::string tiles_text(const TileMap& map, const TileGrid& grid) {
  std::string text = llvm::formatv("{0} x {1}", map.tile.rows, map.tile.keys);
  if (grid.q_tiles * grid.kv_tiles == 1) return "a tile of " + text;
  return llvm::formatv("{0} x {1} tiles of {2}", grid.q_tiles, grid.kv_tiles, text);
}

std::string head_text(const TileMap& map) {
  const int heads = map.tile.heads;
  if (heads == 1) return llvm::formatv("batch {0}, head {1}", map.drawn.batch, map.drawn.head);
  const std::int64_t first = map.drawn.head / heads * heads;
  return llvm::formatv("batch {0}, heads {1} to {2}", map.drawn.batch, first, first + heads - 1);
}

std::string number(double value) { return llvm::formatv("{0:f0}", value); }

// ---- SVG

/// Blue, orange and grey of Okabe and Ito, which people tell apart whatever colours they see; light
/// and dark as well.
struct Style {
  Cell cell;
  const char* name;
  const char* colour;
};
constexpr Style styles[] = {{Cell::full, "full: every pair is seen", "#0072b2"},
                            {Cell::partial, "partial: elements are tested", "#e69f00"},
                            {Cell::skipped, "skipped: never visited", "#eeeeee"}};

const Style& style_of(Cell cell) { return *std::ranges::find(styles, cell, &Style::cell); }

class Svg {
 public:
  Svg(const TileMap& map, llvm::raw_ostream& out)
      : map_(map),
        grid_(map, most_cells, most_cells),
        out_(out),
        cell_width_(side(grid_.kv_tiles * map.tile.keys)),
        cell_height_(side(grid_.q_tiles * map.tile.rows)),
        width_(std::max(cell_width_ * static_cast<double>(grid_.columns), 80.0)),
        height_(std::max(cell_height_ * static_cast<double>(grid_.rows), 20.0)) {}

  void draw(const std::string& title) {
    const double all_width = std::max(left + width_ + right, 560.0);
    const double all_height = top + height_ + bottom;
    out_ << llvm::formatv(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:f0}\" height=\"{1:f0}\" "
        "viewBox=\"0 0 {0:f0} {1:f0}\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n",
        all_width, all_height);
    out_ << "<title>";
    llvm::printHTMLEscaped(title, out_);
    out_ << "</title>\n";
    out_ << llvm::formatv("<rect width=\"{0:f0}\" height=\"{1:f0}\" fill=\"#ffffff\"/>\n",
                          all_width, all_height);
    text(16, 24, "start", shortened(title, static_cast<std::size_t>(all_width / 8)), 14);
    text(16, 42, "start",
         "Tiles of queries and keys, " + head_text(map_) + ". A cell is " +
             tiles_text(map_, grid_) + ".");
    cells();
    axes();
    legend();
    out_ << "</svg>\n";
  }

 private:
  static constexpr std::int64_t most_cells = 256;
  static constexpr double left = 90, right = 40, top = 92, bottom = 110;

  /// Of a cell over so many positions: both axes have one scale, but for cells that would vanish.
  double side(std::int64_t positions) const {
    const auto longer = static_cast<double>(std::max<std::int64_t>({map_.q_len, map_.kv_len, 1}));
    const auto larger = static_cast<double>(
        std::max(grid_.q_tiles * map_.tile.rows, grid_.kv_tiles * map_.tile.keys));
    return std::max(std::min(640 / longer, 24 / larger) * static_cast<double>(positions), 2.0);
  }

  static std::string shortened(const std::string& text, std::size_t most) {
    return text.size() <= most ? text : text.substr(0, most - 3) + "...";
  }

  void text(double x, double y, const char* anchor, const std::string& words, int size = 12,
            const char* more = "") {
    out_ << llvm::formatv(
        "<text x=\"{0:f1}\" y=\"{1:f1}\" text-anchor=\"{2}\" font-size=\"{3}\"{4}>", x, y, anchor,
        size, more);
    llvm::printHTMLEscaped(words, out_);
    out_ << "</text>\n";
  }

  void rectangle(double x, double y, double width, double height, const char* fill) {
    out_ << llvm::formatv(
        "<rect x=\"{0:f2}\" y=\"{1:f2}\" width=\"{2:f2}\" height=\"{3:f2}\" fill=\"{4}\"/>\n", x, y,
        width, height, fill);
  }

  /// Neighbours in a row that are alike are one rectangle, a little smaller than its place where
  /// that still shows.
  void cells() {
    rectangle(left, top, width_, height_, style_of(Cell::skipped).colour);
    const double gap = std::min(cell_width_, cell_height_) >= 8 ? 1 : 0;
    out_ << "<g shape-rendering=\"crispEdges\">\n";
    for (std::int64_t row = 0; row < grid_.rows; row++) {
      for (std::int64_t column = 0, end = 0; column < grid_.columns; column = end) {
        const Cell cell = grid_.at(row, column);
        end = column + 1;
        while (gap == 0 && end < grid_.columns && grid_.at(row, end) == cell) end++;
        if (cell == Cell::skipped) continue;
        rectangle(left + cell_width_ * static_cast<double>(column),
                  top + cell_height_ * static_cast<double>(row),
                  cell_width_ * static_cast<double>(end - column) - gap, cell_height_ - gap,
                  style_of(cell).colour);
      }
    }
    out_ << "</g>\n";
    out_ << llvm::formatv(
        "<rect x=\"{0:f1}\" y=\"{1:f1}\" width=\"{2:f1}\" height=\"{3:f1}\" fill=\"none\" "
        "stroke=\"#444444\"/>\n",
        left, top, width_, height_);
  }

  // Positions at the edges of cells, a few of them.
  void axes() {
    const auto ticks = [](std::int64_t cells, double length, const auto& tick) {
      const std::int64_t step = std::max<std::int64_t>(
          ceil_div(cells, std::max<std::int64_t>(static_cast<std::int64_t>(length / 70), 1)), 1);
      for (std::int64_t cell = 0; cell < cells; cell += step) tick(cell);
    };
    ticks(grid_.columns, width_, [&](std::int64_t column) {
      const double x = left + cell_width_ * static_cast<double>(column);
      line(x, top - 5, x, top);
      text(x, top - 9, "middle",
           std::to_string(map_.k_position + column * grid_.kv_tiles * map_.tile.keys), 11);
    });
    ticks(grid_.rows, height_, [&](std::int64_t row) {
      const double y = top + cell_height_ * static_cast<double>(row);
      line(left - 5, y, left, y);
      text(left - 9, y + 4, "end", std::to_string(map_.position_of(row * grid_.q_tiles)), 11);
    });
    text(left + width_ / 2, top - 26, "middle", "position of the key, k");
    const double y = top + height_ / 2;
    text(20, y, "middle", height_ < 150 ? "q" : "position of the query, q", 12,
         llvm::formatv(" transform=\"rotate(-90 20 {0:f1})\"", y).str().c_str());
  }

  void line(double x1, double y1, double x2, double y2) {
    out_ << llvm::formatv(
        "<line x1=\"{0:f1}\" y1=\"{1:f1}\" x2=\"{2:f1}\" y2=\"{3:f1}\" stroke=\"#444444\"/>\n", x1,
        y1, x2, y2);
  }

  void legend() {
    const TileCounts& counts = map_.counts;
    double y = top + height_ + 28;
    for (const Style& style : styles) {
      const double count = style.cell == Cell::full      ? counts.full
                           : style.cell == Cell::partial ? counts.partial
                                                         : counts.skipped();
      rectangle(left, y - 10, 12, 12, style.colour);
      text(left + 20, y, "start",
           std::string(style.name) + " (" + (map_.is_estimate ? "about " : "") + number(count) +
               " tiles of all heads)");
      y += 20;
    }
    if (grid_.q_tiles * grid_.kv_tiles > 1)
      text(left, y, "start", "A cell whose tiles differ is drawn as partial.", 11);
  }

  const TileMap& map_;
  TileGrid grid_;
  llvm::raw_ostream& out_;
  double cell_width_, cell_height_, width_, height_;
};

}  // namespace

TileGrid::TileGrid(const TileMap& map, std::int64_t most_rows, std::int64_t most_columns) {
  most_rows = std::min<std::int64_t>(most_rows, std::ssize(map.rows));
  q_tiles = std::max<std::int64_t>(ceil_div(map.q_tiles, std::max<std::int64_t>(most_rows, 1)), 1);
  kv_tiles = std::max<std::int64_t>(ceil_div(map.kv_tiles, most_columns), 1);
  rows = map.rows.empty() ? 0 : ceil_div(map.q_tiles, q_tiles);
  columns = ceil_div(map.kv_tiles, kv_tiles);
  std::vector<std::int64_t> full(rows * columns), visited(rows * columns), all(rows * columns);
  for (const TileRow& tiles : map.rows) {
    for (std::int64_t column = 0; column < columns; column++) {
      const std::int64_t cell = tiles.q_tile / q_tiles * columns + column;
      const Rows part = {column * kv_tiles, std::min((column + 1) * kv_tiles, map.kv_tiles)};
      const std::int64_t whole = count_in(tiles.full, part);
      full[cell] += whole;
      visited[cell] += whole + count_in(tiles.partial, part);
      all[cell] += part.end - part.begin;
    }
  }
  for (std::size_t i = 0; i < all.size(); i++)
    cells.push_back(visited[i] == 0     ? Cell::skipped
                    : full[i] == all[i] ? Cell::full
                                        : Cell::partial);
}

void draw_text(const TileMap& map, int width, llvm::raw_ostream& out) {
  constexpr int label = 10, fewest = 8;
  const int columns = std::max(width - label - 1, fewest);
  const TileGrid grid(map, std::max(columns / 2, fewest), columns);
  out << "map of " << head_text(map) << ": queries go down, keys to the right, a character is\n"
      << tiles_text(map, grid) << ": # full  + partial  . skipped\n\n";
  if (grid.cells.empty()) return void(out << "  there are no tiles\n");
  const std::string first = std::to_string(map.k_position),
                    last = std::to_string(map.k_position + map.kv_len - 1);
  const auto drawn = static_cast<std::size_t>(grid.columns);
  out << llvm::right_justify("q \\ k", label - 1) << " " << first;
  if (drawn > first.size() + last.size())
    out << std::string(drawn - first.size() - last.size(), ' ') << last;
  out << "\n";
  for (std::int64_t row = 0; row < grid.rows; row++) {
    const std::int64_t position = map.position_of(row * grid.q_tiles);
    out << llvm::right_justify(row % 4 == 0 ? std::to_string(position) : "", label - 1) << " ";
    for (std::int64_t column = 0; column < grid.columns; column++)
      out << ".+#"[static_cast<int>(grid.at(row, column))];
    out << "\n";
  }
}

void draw_svg(const TileMap& map, const std::string& title, llvm::raw_ostream& out) {
  Svg(map, out).draw(title);
}

}  // namespace streamattn
