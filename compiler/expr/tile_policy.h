// The device code that tells which tiles a mask sees where data decide.
#pragma once

#include <string>
#include <vector>

#include "streamattn/problem.h"

namespace streamattn {

/// Whether elements of tensors decide which keys a query sees, beyond what closed forms tell.
bool is_data_dependent(const Expr& mask);

/// Whether the tiles that are seen differ between batch entries, and between heads.
struct TileOwners {
  bool batches, heads;
};
TileOwners tile_owners(const Expr& mask);

/// The integers that a mask takes from tensors by the query alone, and by the key alone: what
/// tile_bounds finds the bounds of.
struct TileValues {
  std::vector<Expr> of_rows, of_keys;

  explicit TileValues(const Expr& mask);
};

/// The struct `ProblemTiles` (templates/forward/key_lists.cuh), to stand in namespace streamattn.
std::string tile_policy(const Problem& problem);

}  // namespace streamattn
