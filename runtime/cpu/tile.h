// The unit of work of the CPU target: some queries of some heads against all their keys.
#pragma once

#include <cstdint>

#include "compiler/operations/forward/evaluate.h"
#include "streamattn/problem.h"

namespace streamattn {

/// Queries [q_begin, q_end) of heads [head_begin, head_end), which all share one KV head.
struct CpuTile {
  std::int64_t batch;
  std::int64_t head_begin, head_end;
  std::int64_t q_begin, q_end;
};

/// Computes one tile, `tile_kv` keys at a time; `exprs` are those of the problem. Works with the
/// widest vectors that the CPU has.
void attend_tile(const Problem& problem, const FlatProblem& exprs, const ForwardCall& call,
                 const CpuTile& tile, std::int64_t tile_kv);

/// Query rows that one vector operation works on; tiles are best multiples of it.
int block_rows();

/// The name of the vector instructions in use, such as "AVX3".
const char* vector_target();

}  // namespace streamattn
