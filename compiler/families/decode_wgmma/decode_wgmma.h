// The decode family of Hopper: templates/decode/decode_wgmma.cuh.
#pragma once

#include "compiler/families/family.h"
#include "templates/decode/decode_params.h"

namespace streamattn {

/// The knobs of the family.
struct DecodeSchedule {
  static constexpr std::string_view family = "decode_wgmma";

  int tile_q = 8;           ///< query rows of a tile, over the heads that share a KV head: 8 to 64
  int tile_kv = 64;         ///< keys of a tile: no other number
  int stages = 3;           ///< K and V tiles in flight
  int blocks_per_sm = 2;    ///< 1 or 2
  int cluster = 1;          ///< blocks that share every piece of an item: 1, 2, 4, 8 or 16
  int split_tokens = 0;     ///< keys of a piece, a multiple of 64; 0: as a share of all ends
  int blocks = 0;           ///< that share the keys, at most; 0: by shape
  bool early_start = true;  ///< while the kernel before it on the stream still runs

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visit) {
    visit("tile_q", self.tile_q, KnobUse::compiled);
    visit("tile_kv", self.tile_kv, KnobUse::compiled);
    visit("stages", self.stages, KnobUse::compiled);
    visit("blocks_per_sm", self.blocks_per_sm, KnobUse::compiled);
    visit("cluster", self.cluster, KnobUse::compiled);
    visit("split_tokens", self.split_tokens, KnobUse::compiled);
    visit("blocks", self.blocks, KnobUse::launch);
    visit("early_start", self.early_start, KnobUse::launch);
  }
};

Family decode_wgmma_family();

// What the family answers with; see Family.
std::optional<Schedule> decode_first_guess(const Problem& problem, const Shape& shape,
                                           const Target& target);
std::vector<Schedule> decode_schedules(const Problem& problem, const Shape& shape,
                                       const Target& target);
Estimate decode_estimate(const Problem& problem, const Schedule& schedule, const Shape& shape,
                         const Target& target);
Program decode_emit(const Problem& problem, const Schedule& schedule, const Target& target);
Plan decode_plan(const Problem& problem, const Schedule& schedule, const ResolvedCall& call,
                 const DeviceFacts& device, WorkspaceSlices& workspace);

/// Why the schedule cannot serve the problem; empty if it can.
std::string decode_refusal(const Problem& problem, const DecodeSchedule& schedule,
                           const Target& target);

/// The key tiles that a launch is about, at the most: those of all items in one stream.
struct KeyStream {
  std::int64_t items, tiles;  ///< tiles of the longest item, one at least
  int box_rows;               ///< rows of a TMA load; 0: rows are copied one by one

  /// Of all items, with `grain` tiles to a place.
  std::int64_t places(int grain) const { return items * ((tiles + grain - 1) / grain); }
};

/// Blocks that share the stream on so many multiprocessors: whole clusters.
std::int64_t decode_blocks(const DecodeTiling& tiling, const DecodeSchedule& schedule,
                           const KeyStream& stream, int sms);

/// Tiles and shared memory of the kernel.
DecodeTiling decode_tiling(const Problem& problem, const DecodeSchedule& schedule);

/// Registers that a math thread needs.
int decode_registers_needed(const Problem& problem, const DecodeSchedule& schedule);

/// Pieces of an item that a thread loads before it adds the first: as many as there are registers
/// for.
int decode_pieces_together(const Problem& problem, const DecodeSchedule& schedule,
                           const Target& target);

/// Threads of a block: 4 math warps and one that loads.
inline constexpr int decode_threads = 160;

}  // namespace streamattn
