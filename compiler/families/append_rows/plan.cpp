// Launches of append_rows kernels.
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

#include "compiler/families/append_rows/append_rows.h"
#include "compiler/families/launch_params.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

void require_addressable(const AppendCall& call) {
  for (const auto& [name, tensor] :
       {std::pair("new_k", &call.new_k), std::pair("new_v", &call.new_v), std::pair("k", &call.k),
        std::pair("v", &call.v), std::pair("q", &call.q), std::pair("rotated_q", &call.rotated_q)})
    require_tma(name, *tensor);
  require_positions("new_k", call.sizes.q_len, 0);
  require_positions("k", call.sizes.kv_len, call.k_position);
  if (call.rope.dim % 16 != 0 || call.rope.dim / 2 > RopeParams::most_pairs)
    throw Error(ErrorCode::invalid_argument,
                llvm::formatv("rope: dim is {0}, the GPU needs a multiple of 16 up to {1}",
                              call.rope.dim, 2 * RopeParams::most_pairs));
}

RopeParams rope_params(const RopeCall& rope) {
  RopeParams p = {.vectors = static_cast<int>(rope.dim / 16),
                  .split_half = rope.style == RopeStyle::split_half ? 1 : 0,
                  .cos = static_cast<const float*>(rope.cos.data),
                  .sin = static_cast<const float*>(rope.sin.data),
                  .cos_stride = rope.cos.seq_stride,
                  .sin_stride = rope.sin.seq_stride,
                  .positions = static_cast<int>(std::min<std::int64_t>(rope.cos.seq, 1 << 30)),
                  .steps = {}};
  std::ranges::copy(rope.steps, p.steps);
  return p;
}

/// Heads of a token that a lane goes through: more share the sines of a position, as long as the
/// threads fill the device twice.
int item_heads(const AppendSchedule& schedule, std::int64_t threads, std::int64_t resident) {
  if (schedule.item_heads > 0) return schedule.item_heads;
  return static_cast<int>(std::clamp<std::int64_t>(threads / (2 * resident), 1, 8));
}

}  // namespace

Plan append_plan(const Problem& problem, const Schedule& chosen, const ResolvedCall& resolved,
                 const DeviceFacts& device, WorkspaceSlices& /*workspace*/) {
  const auto schedule = settings_of<AppendSchedule>(chosen);
  const auto& call = std::get<AppendCall>(resolved);
  require_addressable(call);
  const std::int64_t tokens = problem.q_layout == SequenceLayout::packed
                                  ? call.new_k.seq
                                  : call.sizes.batch * call.sizes.q_len;
  const std::int64_t heads = call.q.heads + 2 * call.k.heads;
  if (tokens == 0 || heads == 0 || call.sizes.batch == 0) return {};

  AppendParams p = {.q = {call.q.data, strides(call.q)},
                    .new_k = {call.new_k.data, strides(call.new_k)},
                    .new_v = {call.new_v.data, strides(call.new_v)},
                    .rotated_q = {call.rotated_q.data, strides(call.rotated_q)},
                    .k = {call.k.data, strides(call.k)},
                    .v = {call.v.data, strides(call.v)},
                    .batch = batch_params(call.sizes, call.sequences),
                    .rope = rope_params(call.rope),
                    .tokens = checked_int(tokens, "new tokens"),
                    .q_heads = static_cast<int>(call.q.heads),
                    .kv_heads = static_cast<int>(call.k.heads)};
  p.batch.k_position = static_cast<int>(call.k_position);
  p.batch.pages.page_size = static_cast<int>(call.k.seq);
  const std::int64_t lanes = append_lanes(problem), sms = multiprocessors(call.max_sms, device);
  p.item_heads = item_heads(schedule, tokens * heads * lanes, sms * append_threads);
  p.token_items = static_cast<int>(ceil_div(heads, p.item_heads));
  p.items = checked_int(tokens * p.token_items, "heads of new tokens");
  const std::int64_t blocks = std::min(ceil_div(p.items, schedule.threads / lanes),
                                       sms * (append_threads / schedule.threads));
  Plan steps;
  add_launch(steps, 0, blocks, p);
  return steps;
}

}  // namespace streamattn
