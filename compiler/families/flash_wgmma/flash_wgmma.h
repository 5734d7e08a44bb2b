// The forward family of Hopper: templates/forward/flash_wgmma.cuh.
#pragma once

#include "compiler/families/family.h"
#include "templates/params.h"

namespace streamattn {

Family flash_wgmma_family();

/// Tiles and shared memory of the kernel.
FlashTiling flash_tiling(const Problem& problem, const Schedule& schedule);

/// Threads of a block.
int flash_threads(const Schedule& schedule);

/// How a call is launched: compiler/families/flash_wgmma/plan.cpp.
Plan flash_plan(const Problem& problem, const Schedule& schedule, const ResolvedCall& call,
                const DeviceFacts& device, WorkspaceSlices& workspace);

/// Query heads (of batch * heads) in one L2 section of the tile order on a device with `sms`
/// multiprocessors and an L2 of `l2_bytes`.
int flash_section_heads(const Problem& problem, const Schedule& schedule, const Shape& shape,
                        int sms, std::int64_t l2_bytes);

}  // namespace streamattn
