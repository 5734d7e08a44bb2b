// Cuts a backward call into units that own what they write, and hands them to the cores.
#include "runtime/cpu/backward.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <cassert>
#include <new>
#include <vector>

#include "runtime/cpu/backward_tile.h"
#include "runtime/cpu/threads.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Rows of the heads of a call, and how many of them a unit has.
struct RowTiles {
  std::int64_t heads, length, side;
};

/// Calls visit(work, batch, head, rows) on all cores for every tile of rows of every head of each
/// of `works`; tiles_of(work) says which.
template <class TilesOf, class Visit>
void each_tile(const std::vector<CpuBackward>& works, const TilesOf& tiles_of, const Visit& visit) {
  if (works.empty()) return;
  std::vector<std::int64_t> firsts;  // tiles of works
  std::int64_t count = 0;
  for (const CpuBackward& work : works) {
    const RowTiles tiles = tiles_of(work);
    firsts.push_back(count);
    count += work.call.forward.batch() * tiles.heads * ceil_div(tiles.length, tiles.side);
  }
  parallel_for(count, works.front().call.forward.max_sms, [&](std::int64_t index) {
    const std::size_t at = std::ranges::upper_bound(firsts, index) - firsts.begin() - 1;
    const auto [heads, length, side] = tiles_of(works[at]);
    const std::int64_t of_work = index - firsts[at], tiles = ceil_div(length, side);
    const std::int64_t first = of_work % tiles * side, head = of_work / tiles;
    visit(works[at], head / heads, head % heads, Rows{first, std::min(first + side, length)});
  });
}

/// Parts of [0, length) that different units work on: of `step` each, or all of it in one.
struct Parts {
  Parts(bool is_split, std::int64_t all, std::int64_t most)
      : length(all), step(is_split ? most : std::max<std::int64_t>(all, 1)) {}

  std::int64_t count() const { return ceil_div(length, step); }
  Rows operator[](std::int64_t i) const { return {i * step, std::min((i + 1) * step, length)}; }

  std::int64_t length, step;
};

/// Sets every element of a gradient of a named tensor to 0.
void clear(const NamedGradient& gradient, const NamedTensor& tensor) {
  std::array<std::int64_t, 4> sizes = {1, 1, 1, 1};
  for (int d = 0; d < 4; d++)
    if (tensor.sizes[d] > 0) sizes[d] = tensor.sizes[d];
  for (std::int64_t i = 0; i < sizes[0]; i++)
    for (std::int64_t j = 0; j < sizes[1]; j++)
      for (std::int64_t k = 0; k < sizes[2]; k++)
        for (std::int64_t l = 0; l < sizes[3]; l++)
          gradient.data[i * gradient.strides[0] + j * gradient.strides[1] +
                        k * gradient.strides[2] + l * gradient.strides[3]] = 0;
}

/// Of one named tensor. Units are parts of what tells its elements apart.
void compute_elements(const CpuBackward& work, int tensor) {
  const ForwardCall& call = work.call.forward;
  const auto is_owner = [&](Variable variable) {
    return (work.slopes.owners[tensor] >> static_cast<int>(variable) & 1) != 0;
  };
  const bool by_head = is_owner(Variable::head);
  const Parts batches(is_owner(Variable::batch), call.batch(), 1);
  const Parts heads(by_head || is_owner(Variable::kv_head), call.heads(),
                    by_head ? 1 : work.problem.group_size);
  const Parts rows(is_owner(Variable::q), call.q_len(), work.tile_q);
  parallel_for(batches.count() * heads.count() * rows.count(), call.max_sms, [&](std::int64_t i) {
    add_element_gradients(work, tensor, batches[i / rows.count() / heads.count()],
                          heads[i / rows.count() % heads.count()], rows[i % rows.count()]);
  });
}

void run(const std::vector<CpuBackward>& works, const BackwardCall& call) {
  each_tile(
      works,
      [](const CpuBackward& work) {
        return RowTiles{work.call.forward.heads(), work.call.forward.q_len(), work.tile_q};
      },
      write_query_gradients);
  each_tile(
      works,
      [](const CpuBackward& work) {
        return RowTiles{work.call.forward.kv_heads(), work.call.forward.kv_len(), work.tile_kv};
      },
      write_key_gradients);
  for (int tensor = 0; tensor < static_cast<int>(call.gradients.size()); tensor++) {
    const NamedGradient& gradient = call.gradients[tensor];
    if (gradient.data == nullptr) continue;
    if (!call.accumulate) clear(gradient, call.forward.named.tensors[tensor]);
    for (const CpuBackward& work : works) compute_elements(work, tensor);
  }
}

}  // namespace

void cpu_backward(const Problem& problem, const FlatProblem& exprs, const FlatSlopes& slopes,
                  CpuTileSides tile, const BackwardCall& call) {
  assert(tile.q > 0 && tile.kv > 0);
  // Of the longest sequence.
  const std::int64_t tile_q = std::clamp<std::int64_t>(call.forward.q_len(), 1, tile.q);
  const std::int64_t tile_kv = std::clamp<std::int64_t>(call.forward.kv_len(), 1, tile.kv);
  try {
    const std::vector<BackwardCall> calls = sequence_calls(call);
    std::vector<CpuBackward> works;
    works.reserve(calls.size());
    for (const BackwardCall& one : calls)
      works.push_back({problem, exprs, slopes, one, tile_q, tile_kv});
    run(works, call);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::launch_failed,
                llvm::formatv("the system has no memory for tiles of {0} x {1} with head dims {2} "
                              "and {3}, one on each of {4} threads; part of the gradients may be "
                              "written",
                              tile_q, tile_kv, problem.head_dim, problem.v_head_dim(),
                              thread_count(call.forward.max_sms)));
  }
}

}  // namespace streamattn
