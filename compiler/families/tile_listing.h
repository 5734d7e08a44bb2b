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

/// Whose tiles are told apart, and how many there are of so many queries and keys.
struct ListedTiles {
  KeyListParams lists;  ///< with memory for what tile_bounds writes, and none for lists
  std::int64_t bounds;  ///< how many that are; 0 where the mask takes no values that have some
};
ListedTiles listed_tiles(const Problem& problem, const ForwardCall& call, int tile_q, int tile_kv,
                         WorkspaceSlices& workspace);

/// Adds the launch of tile_bounds, number `kernel` of its program, if there are bounds; says
/// whether there are.
bool add_tile_bounds(Plan& steps, std::size_t kernel, const ListingParams& params,
                     std::int64_t bounds, int sms);

}  // namespace streamattn
