// Launches of flash_wgmma kernels.
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <limits>

#include "compiler/families/flash_wgmma/flash_wgmma.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

// Kernels count rows in ints, and add and subtract positions.
constexpr std::int64_t length_limit = std::int64_t{1} << 29;

void require_below_limit(const char* what, std::int64_t value) {
  if (value >= length_limit)
    throw Error(
        ErrorCode::invalid_argument,
        llvm::formatv("{0} is {1}, the GPU needs less than {2}", what, value, length_limit));
}

void require_position(const char* name, std::int64_t position, std::int64_t length) {
  if (-length_limit < position && position < length_limit - length) return;
  throw Error(ErrorCode::invalid_argument,
              llvm::formatv("{0}: the first of {1} rows is at position {2}, the GPU needs "
                            "positions within +-{3}",
                            name, length, position, length_limit - 1));
}

void require_addressable(const ForwardCall& call) {
  require_below_limit("q: seq", call.q_len());
  require_below_limit("k: seq", call.kv_len());
  if (call.heads() > 0 && call.batch() >= length_limit / call.heads())
    throw Error(ErrorCode::invalid_argument,
                llvm::formatv("q: batch is {0} with {1} heads, the GPU needs a product below {2}",
                              call.batch(), call.heads(), length_limit));
  require_position("q", call.q_position, call.q_len());
  require_position("k", call.k_position, call.kv_len());
  require_tma("q", call.q);
  require_tma("k", call.k);
  require_tma("v", call.v);
  require_tma("o", call.o);
}

int checked_items(std::int64_t q_tiles, std::int64_t heads) {
  if (q_tiles * heads > std::numeric_limits<int>::max())
    throw Error(ErrorCode::invalid_argument,
                llvm::formatv("{0} query tiles x {1} heads are more than 2^31 - 1 work items",
                              q_tiles, heads));
  return static_cast<int>(q_tiles * heads);
}

Strides strides(const Tensor& t) { return {t.batch_stride, t.seq_stride, t.head_stride}; }

}  // namespace

Plan flash_plan(const Problem& problem, const Schedule& chosen, const ResolvedCall& resolved,
                const DeviceFacts& device, WorkspaceSlices& /*workspace*/) {
  const auto schedule = settings_of<FlashSchedule>(chosen);
  const auto& call = std::get<ForwardCall>(resolved);
  require_addressable(call);
  const FlashTiling tiling = flash_tiling(problem, schedule);
  const std::int64_t heads = call.batch() * call.heads();
  const std::int64_t q_tiles = (call.q_len() + tiling.tile_q - 1) / tiling.tile_q;

  FlashParams p = {};
  p.order.items = checked_items(q_tiles, heads);
  if (p.order.items == 0) return {};
  const auto map = [&](const char* name, const Tensor& t, int rows) {
    return device.encode(name, boxed(t, rows, /*anywhere=*/call.q.data));
  };
  p.q = map("tensor map of q", call.q, tiling.tile_q);
  p.k = map("tensor map of k", call.k, tiling.tile_kv);
  p.v = map("tensor map of v", call.v, tiling.tile_kv);
  if (tiling.output != OutputPath::direct) p.output.map = map("tensor map of o", call.o, 64);
  p.output.o = call.o.data;
  p.output.o_strides = strides(call.o);
  p.output.lse = static_cast<float*>(call.lse.data);
  p.output.lse_strides = strides(call.lse);
  p.sequence = {.q_len = static_cast<int>(call.q_len()),
                .kv_len = static_cast<int>(call.kv_len()),
                .q_position = static_cast<int>(call.q_position),
                .k_position = static_cast<int>(call.k_position)};
  p.score.scale_log2 = call.scale * 1.44269504088896F;
  p.order.q_tiles = static_cast<int>(q_tiles);
  p.order.heads = static_cast<int>(call.heads());
  p.order.all_heads = static_cast<int>(heads);
  const int sms =
      call.max_sms > 0 ? std::min(call.max_sms, device.multiprocessors) : device.multiprocessors;
  p.order.section_heads =
      flash_section_heads(problem, schedule, call.shape(), sms, device.l2_bytes);
  if (schedule.tile_order == TileOrder::dynamic) p.order.item_counter = device.zero_word();
  const auto blocks = static_cast<unsigned>(std::min(p.order.items, sms));
  return {KernelLaunch{.kernel = 0, .blocks = blocks, .parameters = ParameterBytes(p)}};
}

}  // namespace streamattn
