// Defaults of an append launch, and its rows on the host.
#include "compiler/operations/append/call.h"

#include <algorithm>

namespace streamattn {

ForwardArgs forward_part(const AppendArgs& args) {
  return {.q = args.new_k,
          .k = args.k,
          .v = args.v,
          .o = {},
          .k_offset = args.k_offset,
          .sequences = args.sequences};
}

AppendCall resolve(const Problem& problem, const AppendArgs& args) {
  AppendCall call{.new_k = args.new_k,
                  .new_v = args.new_v,
                  .k = args.k,
                  .v = args.v,
                  .q = args.q,
                  .rotated_q = args.rotated_q,
                  .rope = {},
                  .k_position = args.k_offset,
                  .max_sms = args.max_sms,
                  .sizes = batch_sizes(problem, forward_part(args)),
                  .sequences = args.sequences};
  if (args.rope.style != RopeStyle::none) {
    RopeCall& rope = call.rope;
    rope.style = args.rope.style;
    rope.dim = args.rope.dim == 0 ? problem.head_dim : args.rope.dim;
    rope.cos = args.rope.cos;
    rope.sin = args.rope.sin;
    if (rope.cos.data == nullptr) rope.steps = rope_steps(args.rope, rope.dim);
  }
  Sequences& sequences = call.sequences;
  sequences.batch = call.sizes.batch;
  sequences.max_q_len = call.sizes.q_len;
  sequences.max_kv_len = call.sizes.kv_len;
  if (sequences.block_table_stride == 0) sequences.block_table_stride = sequences.pages;
  return call;
}

AppendedRows::AppendedRows(const AppendCall& call, std::int64_t index)
    : source_(query_rows({.q = call.new_k, .k = {}, .v = {}, .o = {}, .sequences = call.sequences},
                         index)),
      room_(call.sizes.kv_len),
      begin_{index, 0} {
  const Sequences& sequences = call.sequences;
  if (const std::int32_t* begins = sequences.cu_seqlens_kv) {
    begin_ = {0, begins[index]};
    room_ = std::min<std::int64_t>(room_, begins[index + 1] - begins[index]);
  }
  if (sequences.block_table != nullptr)
    pages_ = {sequences.block_table + index * sequences.block_table_stride, call.k.seq};
  const std::int64_t length =
      sequences.kv_lens != nullptr ? std::max(sequences.kv_lens[index], 0) : room_;
  first_ = length - count();
}

std::optional<AppendedRows::Place> AppendedRows::place(std::int64_t i) const {
  const std::int64_t row = this->row(i);
  if (row < 0 || row >= room_) return std::nullopt;
  if (pages_.table == nullptr) return Place{begin_.batch, begin_.seq + row};
  const std::int32_t page = pages_.table[row / pages_.size];
  if (page < 0) return std::nullopt;
  return Place{page, row % pages_.size};
}

}  // namespace streamattn
