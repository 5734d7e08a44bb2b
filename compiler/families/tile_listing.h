// Kernels that find which key tiles the tiles of queries see, where data decide the mask: what
// families that walk by it have in common (templates/forward/key_lists.cuh).
#pragma once

#include <cstdint>
#include <string>

#include "compiler/plan.h"
#include "streamattn/compiler.h"
#include "streamattn/problem.h"

namespace streamattn {

/// A kernel `name` of a header of templates/ over tiles of so many queries and keys. It depends on
/// mask and tiles alone. `header` is the first line of its text.
Source tile_listing_source(const Problem& problem, const std::string& header, const char* include,
                           const char* name, const char* parameters, std::size_t parameter_bytes,
                           int tile_q, int tile_kv, int threads);

/// The kernel tile_bounds, which others of a program run behind.
Source tile_bounds_source(const Problem& problem, const std::string& header, int tile_q,
                          int tile_kv);

/// Whose tiles are told apart, how many there are of so many queries and keys, and memory for what
/// tile_bounds writes.
KeyListParams listed_tiles(const Problem& problem, const ForwardCall& call, int tile_q, int tile_kv,
                           WorkspaceSlices& workspace);

/// Adds the launch of tile_bounds, number `kernel` of its program, if the mask takes values that
/// have bounds; says whether it does.
bool add_tile_bounds(Plan& steps, std::size_t kernel, const Problem& problem,
                     const ListingParams& params, int tile_q, int sms);

}  // namespace streamattn
