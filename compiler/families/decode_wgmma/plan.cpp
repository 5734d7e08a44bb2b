// The launch of a decode_wgmma kernel.
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

#include "compiler/families/decode_wgmma/decode_wgmma.h"
#include "compiler/families/launch_params.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

constexpr int tile_kv = DecodeTiling::tile_kv;

KeyStream longest_stream(const Problem& problem, const DecodeSchedule& schedule,
                         const ForwardCall& call, int box_rows) {
  const std::int64_t rows = call.q_len() * problem.group_size;
  const std::int64_t items =
      call.batch() * call.kv_heads() * ((rows + schedule.tile_q - 1) / schedule.tile_q);
  const std::int64_t tiles = std::max<std::int64_t>((call.kv_len() + tile_kv - 1) / tile_kv, 1);
  checked_int(items * tiles, "key tiles of all heads");
  return {items, tiles, box_rows};
}

/// Memory for pieces of items, and counters that are zero; adds a step that makes them so where the
/// device has none. A share of the stream has two pieces, a place of it one where pieces are
/// splits.
PieceParams piece_params(const DecodeTiling& tiling, const KeyStream& stream, std::int64_t blocks,
                         const DeviceFacts& device, WorkspaceSlices& workspace, Plan& steps) {
  const bool splits = tiling.split > 0;
  const std::int64_t counted = splits ? stream.places(tiling.split) : blocks / tiling.cluster;
  const std::int64_t slots = splits ? counted : 2 * counted;
  constexpr int warps = DecodeTiling::warps;
  const int counters = checked_int(counted * tiling.cluster * warps, "pieces of all heads");
  PieceParams p = {
      .o = workspace.take<float>("O of pieces", slots * tiling.rows * tiling.value_head_dim),
      .stats =
          workspace.take<float>("sums of pieces", slots * tiling.cluster * warps * tiling.rows * 3),
      .arrivals = device.zero_words(counters)};
  if (p.arrivals == nullptr) {
    p.arrivals = workspace.take<unsigned>("arrivals of pieces", counters);
    steps.emplace_back(Clear{p.arrivals, counters * sizeof(unsigned)});
  }
  return p;
}

}  // namespace

Plan decode_plan(const Problem& problem, const Schedule& chosen, const ResolvedCall& resolved,
                 const DeviceFacts& device, WorkspaceSlices& workspace) {
  const auto schedule = settings_of<DecodeSchedule>(chosen);
  const auto& call = std::get<ForwardCall>(resolved);
  require_addressable(call);
  const int rows =
      problem.kv_layout == SequenceLayout::paged ? page_box_rows(call, tile_kv) : tile_kv;
  if (call.batch() == 0 || call.heads() == 0 || call.q_len() == 0) return {};

  const DecodeTiling tiling = decode_tiling(problem, schedule);
  const KeyStream stream = longest_stream(problem, schedule, call, rows);
  const std::int64_t blocks =
      decode_blocks(tiling, schedule, stream, multiprocessors(call, device));
  constexpr int streamed = 128;  // bytes: K and V are read once
  const auto map = [&](const char* name, const Tensor& t) {
    return device.encode(name,
                         boxed(t, rows > 0 ? rows : tile_kv, /*anywhere=*/call.q.data, streamed));
  };
  Plan steps;
  DecodeParams p = {};
  p.k = map("tensor map of k", call.k);
  p.v = map("tensor map of v", call.v);
  p.box_rows = rows;
  p.k_data = call.k.data;
  p.v_data = call.v.data;
  p.k_strides = strides(call.k);
  p.v_strides = strides(call.v);
  p.q = call.q.data;
  p.q_strides = strides(call.q);
  p.output = output_params(call);
  p.batch = batch_params(call);
  p.score = score_params(call);
  p.kv_heads = static_cast<int>(call.kv_heads());
  p.pieces = piece_params(tiling, stream, blocks, device, workspace, steps);
  add_launch(steps, 0, blocks, p, /*overlaps_previous=*/schedule.early_start);
  return steps;
}

}  // namespace streamattn
