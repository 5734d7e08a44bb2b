// The units of work of the CPU's backward pass: each owns what it writes, so that no two add to one
// element.
#pragma once

#include <cstdint>

#include "compiler/operations/backward/evaluate.h"
#include "streamattn/problem.h"

namespace streamattn {

/// A call and what its units have in common.
struct CpuBackward {
  const Problem& problem;
  const FlatProblem& exprs;
  const FlatSlopes& slopes;
  const BackwardCall& call;
  std::int64_t tile_q, tile_kv;  ///< rows and keys that are worked on at a time
};

/// d_q of at most tile_q rows of one head.
void write_query_gradients(const CpuBackward& work, std::int64_t batch, std::int64_t head,
                           Rows rows);

/// d_k and d_v of at most tile_kv keys of one head.
void write_key_gradients(const CpuBackward& work, std::int64_t batch, std::int64_t kv_head,
                         Rows keys);

/// Adds to the gradient of a named tensor what all pairs of these batch entries, query heads and
/// rows contribute.
void add_element_gradients(const CpuBackward& work, int tensor, Rows batches, Rows heads,
                           Rows rows);

}  // namespace streamattn
