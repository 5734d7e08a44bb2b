// Cuts a call into tiles of queries and hands them to the cores.
#include "runtime/cpu/forward.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <cassert>
#include <new>
#include <vector>

#include "compiler/operations/forward/sequences.h"
#include "runtime/cpu/threads.h"
#include "runtime/cpu/tile.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// How a call is cut: tiles of `rows` queries times `heads` heads that share a KV head.
class Cut {
 public:
  Cut(const Problem& problem, const ForwardCall& call, std::int64_t tile_q)
      : group_size_(problem.group_size), q_len_(call.q_len()) {
    const std::int64_t shortest = std::min<std::int64_t>(q_len_, block_rows());
    heads_ = std::clamp<std::int64_t>(tile_q / shortest, 1, group_size_);
    rows_ = std::clamp<std::int64_t>(tile_q / heads_, 1, q_len_);
    head_tiles_ = ceil_div(group_size_, heads_);
    q_tiles_ = ceil_div(q_len_, rows_);
    count_ = call.batch() * call.kv_heads() * head_tiles_ * q_tiles_;
  }

  std::int64_t count() const { return count_; }

  /// Tiles of one head follow each other, as they read the same keys; the last queries come
  /// first, as they see the most keys of a causal mask.
  CpuTile tile(const ForwardCall& call, std::int64_t index) const {
    const std::int64_t q_tile = q_tiles_ - 1 - index % q_tiles_;
    const std::int64_t head_tile = index / q_tiles_ % head_tiles_;
    const std::int64_t all_kv_heads = index / q_tiles_ / head_tiles_;
    const std::int64_t group_begin = all_kv_heads % call.kv_heads() * group_size_;
    return {.batch = all_kv_heads / call.kv_heads(),
            .head_begin = group_begin + head_tile * heads_,
            .head_end = group_begin + std::min((head_tile + 1) * heads_, group_size_),
            .q_begin = q_tile * rows_,
            .q_end = std::min((q_tile + 1) * rows_, q_len_)};
  }

 private:
  std::int64_t group_size_, q_len_;
  std::int64_t heads_, rows_;          // of a tile
  std::int64_t head_tiles_, q_tiles_;  // tiles of a group, and of a head
  std::int64_t count_;
};

/// How the sequences of a call are cut: the tiles of one behind those of another.
class Cuts {
 public:
  Cuts(const Problem& problem, const std::vector<ForwardCall>& calls, std::int64_t tile_q) {
    for (std::size_t i = 0; i < calls.size(); i++) {
      if (calls[i].q_len() == 0 || calls[i].batch() == 0) continue;
      parts_.push_back({count_, i, Cut(problem, calls[i], tile_q)});
      count_ += parts_.back().cut.count();
    }
  }

  std::int64_t count() const { return count_; }

  /// Calls visit(call, tile) for a tile.
  template <class Visit>
  void with_tile(const std::vector<ForwardCall>& calls, std::int64_t index,
                 const Visit& visit) const {
    const auto behind = std::ranges::upper_bound(parts_, index, {}, &Part::first);
    const Part& part = *(behind - 1);
    visit(calls[part.call], part.cut.tile(calls[part.call], index - part.first));
  }

 private:
  struct Part {
    std::int64_t first;  // tile
    std::size_t call;
    Cut cut;
  };
  std::vector<Part> parts_;
  std::int64_t count_ = 0;
};

void run(const Problem& problem, const FlatProblem& exprs, CpuTileSides tile,
         const ForwardCall& call) {
  const std::vector<ForwardCall> calls = sequence_calls(call);
  Cuts cuts(problem, calls, tile.q);
  // A call too small to keep every core busy is cut finer, down to one block of rows.
  const int threads = thread_count(call.max_sms);
  for (std::int64_t tile_q = tile.q; cuts.count() < 4 * threads && tile_q > block_rows();) {
    tile_q = std::max<std::int64_t>(tile_q / 2, block_rows());
    cuts = Cuts(problem, calls, tile_q);
  }
  parallel_for(cuts.count(), call.max_sms, [&](std::int64_t index) {
    cuts.with_tile(calls, index, [&](const ForwardCall& one, const CpuTile& queries) {
      attend_tile(problem, exprs, one, queries, tile.kv);
    });
  });
}

}  // namespace

void cpu_forward(const Problem& problem, const FlatProblem& exprs, CpuTileSides tile,
                 const ForwardCall& call) {
  assert(tile.q > 0 && tile.kv > 0);
  if (call.batch() == 0 || call.q_len() == 0 || call.heads() == 0) return;
  try {
    run(problem, exprs, tile, call);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::launch_failed,
                llvm::formatv("the system has no memory for tiles of {0} x {1} with head dims {2} "
                              "and {3}, one on each of {4} threads; part of o may be written",
                              tile.q, tile.kv, problem.head_dim, problem.v_head_dim(),
                              thread_count(call.max_sms)));
  }
}

}  // namespace streamattn
