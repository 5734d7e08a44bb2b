// The forward family of Hopper: templates/forward/flash_wgmma.cuh.
#pragma once

#include "compiler/families/family.h"
#include "templates/params.h"

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

/// The names of the enumerators, in their order.
std::span<const std::string_view> enumerator_names(Softmax);
std::span<const std::string_view> enumerator_names(TileOrder);

/// The knobs of the family.
struct FlashSchedule {
  static constexpr std::string_view family = "flash_wgmma";

  int tile_q = 0;               ///< query rows of a tile: math_warpgroups x 64
  int tile_kv = 0;              ///< keys of a tile
  int stages = 2;               ///< K and V tiles in flight
  int math_warpgroups = 2;      ///< 1 to 3
  bool ping_pong = true;        ///< warpgroups take turns at issuing matrix instructions
  bool q_in_registers = false;  ///< Q is loaded into registers once a tile
  bool o_buffer = false;    ///< O has shared memory of its own; its store overlaps the next tile
  int o_passes = 1;         ///< parts in which O goes through that memory, each as large as one
  bool split_keys = false;  ///< blocks share the keys of a query tile; a last kernel merges
  bool key_lists = false;   ///< first kernels list the key tiles that a query tile sees
  int packed_heads = 1;     ///< heads of a group whose rows lie in one tile, query by query
  Softmax softmax = Softmax::exact;
  TileOrder tile_order = TileOrder::dynamic;
  int section_heads = 0;  ///< heads that share the L2 in the dynamic order; 0: by shape
  int splits = 0;         ///< shares of split keys; 0: by shape

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visit) {
    visit("tile_q", self.tile_q, KnobUse::compiled);
    visit("tile_kv", self.tile_kv, KnobUse::compiled);
    visit("stages", self.stages, KnobUse::compiled);
    visit("math_warpgroups", self.math_warpgroups, KnobUse::compiled);
    visit("ping_pong", self.ping_pong, KnobUse::compiled);
    visit("q_in_registers", self.q_in_registers, KnobUse::compiled);
    visit("o_buffer", self.o_buffer, KnobUse::compiled);
    visit("o_passes", self.o_passes, KnobUse::compiled);
    visit("split_keys", self.split_keys, KnobUse::compiled);
    visit("key_lists", self.key_lists, KnobUse::compiled);
    visit("packed_heads", self.packed_heads, KnobUse::compiled);
    visit("softmax", self.softmax, KnobUse::compiled);
    visit("tile_order", self.tile_order, KnobUse::launch);
    visit("section_heads", self.section_heads, KnobUse::launch);
    visit("splits", self.splits, KnobUse::launch);
  }
};

Family flash_wgmma_family();

// What the family answers with; see Family.
std::optional<Schedule> flash_first_guess(const Problem& problem, const Shape& shape,
                                          const Target& target);
std::vector<Schedule> flash_schedules(const Problem& problem, const Shape& shape,
                                      const Target& target);
Estimate flash_estimate(const Problem& problem, const Schedule& schedule, const Shape& shape,
                        const Target& target);
std::vector<Schedule> flash_launch_choices(const Problem& problem, const Schedule& schedule,
                                           const Shape& shape, const Target& target);
Program flash_emit(const Problem& problem, const Schedule& schedule, const Target& target);
Plan flash_plan(const Problem& problem, const Schedule& schedule, const ResolvedCall& call,
                const DeviceFacts& device, WorkspaceSlices& workspace);

/// Legal schedules that are good without any measurement, the best guess first.
std::vector<FlashSchedule> flash_guesses(const Problem& problem, const Shape& shape,
                                         const Target& target);

/// Why the schedule cannot serve the problem; empty if it can.
std::string flash_refusal(const Problem& problem, const FlashSchedule& schedule,
                          const Target& target);

/// Tiles and shared memory of the kernel.
FlashTiling flash_tiling(const Problem& problem, const FlashSchedule& schedule);

/// Registers that a thread of the producer and of a math warpgroup gets by setmaxnreg: multiples of
/// 8 that add up to at most 512 over all warpgroups.
struct FlashRegisters {
  int producer, consumer;
};
FlashRegisters flash_registers(const Problem& problem, const FlashSchedule& schedule);

/// Registers that a math thread needs.
int flash_registers_needed(const Problem& problem, const FlashSchedule& schedule);

/// Rows of what counts as a head, and how many of these a call has: query heads, or packs of them.
std::int64_t flash_rows(const FlashSchedule& schedule, const Shape& shape);
std::int64_t flash_heads(const Problem& problem, const FlashSchedule& schedule, const Shape& shape);

/// Threads of a block, and of one of the kernel that merges split keys.
int flash_threads(const FlashSchedule& schedule);
inline constexpr int flash_combine_threads = 128;

/// Threads of a block of the kernels that list key tiles.
inline constexpr int flash_listing_threads = 256;

/// Shares into which the keys of each of `items` query tiles are split: as many as fill the
/// multiprocessors, twice where tiles see more and more keys, none of them too short. Where
/// sequences differ the device says how many; these are its, were all as long as the longest.
int flash_splits(const Problem& problem, const FlashSchedule& schedule, const Shape& shape,
                 std::int64_t items, int sms);

/// Whether later queries see more keys, under one bound as that of a causal mask. Under others they
/// need not.
bool flash_items_grow(const Problem& problem);

/// Threads of the block that lists the query tiles of sequences that differ.
inline constexpr int flash_query_listing_threads = 256;

/// The query tiles of a batch whose sequences differ, at the most.
struct BatchTiles {
  std::int64_t q_tiles;  ///< of all sequences
  std::int64_t heads;    ///< that have these: of one sequence, packs of them as one
  std::int64_t kv_rows;  ///< keys of a KV head, over all sequences
};
BatchTiles flash_batch_tiles(const Problem& problem, const FlashSchedule& schedule,
                             const ForwardCall& call);

/// Places of the list of these tiles: for a device with `sms` multiprocessors to cut their keys
/// into shares, with room for two more items of every one.
std::int64_t flash_list_places(const FlashSchedule& schedule, const BatchTiles& tiles, int sms);

/// Heads in one section of the order of their items: whole groups.
int flash_section_heads_of_batch(const Problem& problem, const FlashSchedule& schedule,
                                 const BatchTiles& tiles, int sms, std::int64_t l2_bytes);

/// Heads (of batch * heads) in one L2 section of the tile order on a device with `sms`
/// multiprocessors and an L2 of `l2_bytes`.
int flash_section_heads(const Problem& problem, const FlashSchedule& schedule, const Shape& shape,
                        int sms, std::int64_t l2_bytes);

}  // namespace streamattn
