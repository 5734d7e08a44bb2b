// How to compute a problem: a plain value that one TOML row can hold.
#pragma once

#include <string>
#include <string_view>

#include "streamattn/export.h"

namespace streamattn {

/// How the running maximum of the online softmax is kept.
enum class Softmax {
  exact,  ///< the true maximum after every tile; the accumulator is rescaled every time
  stale,  ///< the maximum of some earlier tile, moved only when a score exceeds it by 2^8
};

/// In which order the tiles of a persistent grid are handed out.
enum class TileOrder {
  fixed,    ///< tile i goes to block i modulo the grid
  dynamic,  ///< by a counter at run time, longest first
};

/// A way to run a family's kernel. Every field can be pinned by a ScheduleTable row under its own
/// name.
struct STREAMATTN_API Schedule {
  std::string family = {};      ///< "flash_wgmma", "cpu_tiled"
  int tile_q = 0;               ///< query rows of a tile; math_warpgroups x 64 on Hopper
  int tile_kv = 0;              ///< keys of a tile
  int stages = 2;               ///< K and V tiles in flight
  int math_warpgroups = 2;      ///< 1 to 3
  bool ping_pong = true;        ///< warpgroups take turns at issuing matrix instructions
  bool q_in_registers = false;  ///< Q is loaded into registers once a tile
  bool o_buffer = false;    ///< O has shared memory of its own; its store overlaps the next tile
  int o_passes = 1;         ///< parts in which O goes through that memory, each as large as one
  bool split_keys = false;  ///< blocks share the keys of a query tile; a second kernel merges
  Softmax softmax = Softmax::exact;
  TileOrder tile_order = TileOrder::dynamic;
  int section_heads = 0;  ///< heads that share the L2 in the dynamic order; 0: by shape

  /// One line, canonical, fields in the order above: "flash_wgmma: tile_q 128, tile_kv 176, ...".
  std::string describe() const;

  friend bool operator==(const Schedule&, const Schedule&) = default;
};

/// `base` with the settings of `text`: "tile_kv=176, softmax=stale". Throws Error (invalid_config)
/// for an unknown field or a value that does not suit it.
Schedule parse_schedule(std::string_view text, Schedule base = {});

}  // namespace streamattn
