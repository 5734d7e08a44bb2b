// The forward family of Hopper: templates/forward/flash_wgmma.cuh.
#pragma once

#include "compiler/families/family.h"
#include "templates/params.h"

namespace streamattn {

Family flash_wgmma_family();

/// Tiles and shared memory of the kernel.
FlashTiling flash_tiling(const Problem& problem, const Schedule& schedule);

/// The second file of a schedule with split keys, entry streamattn_combine: merges the results of
/// the shares. Depends on the output type alone.
std::string emit_combine(const Problem& problem, const Target& target);

/// Threads of a block of streamattn_combine.
inline constexpr int combine_threads = 128;

/// Threads of a block.
int flash_threads(const Schedule& schedule);

/// Query heads (of batch * heads) in one L2 section of the tile order on a device with `sms`
/// multiprocessors and an L2 of `l2_bytes`.
int flash_section_heads(const Problem& problem, const Schedule& schedule, const Shape& shape,
                        int sms, std::int64_t l2_bytes);

}  // namespace streamattn
