// Defaults and sub-ranges of a forward launch.
#include "compiler/operations/forward/call.h"

#include <cmath>

#include "compiler/operations/forward/sequences.h"

namespace streamattn {

Tensor take_rows(Tensor tensor, Rows rows) {
  if (tensor.data != nullptr) {
    tensor.data =
        static_cast<char*>(tensor.data) + rows.begin * tensor.seq_stride * bytes(tensor.dtype);
  }
  tensor.seq = rows.end - rows.begin;
  return tensor;
}

ExprPoint point_of(const ForwardCall& call, const CallRow& row) {
  return {.q = call.q_position + row.row,
          .batch = call.first_batch + row.batch,
          .head = row.head,
          .kv_head = row.head / (call.heads() / call.kv_heads()),
          .q_len = call.whole_q_len,
          .kv_len = call.whole_kv_len};
}

ForwardCall resolve(const Problem& problem, const NameNeeds& names, const ForwardArgs& args) {
  const Rows q_rows = args.q_rows.value_or(Rows{0, args.q.seq});
  const Rows kv_rows = args.kv_rows.value_or(Rows{0, args.k.seq});
  const std::int64_t q_offset = args.q_offset.value_or(args.k_offset + args.k.seq - args.q.seq);
  const float default_scale = 1.0F / std::sqrt(static_cast<float>(problem.head_dim));
  ForwardCall call = {.q = take_rows(args.q, q_rows),
                      .k = take_rows(args.k, kv_rows),
                      .v = take_rows(args.v, kv_rows),
                      .o = take_rows(args.o, q_rows),
                      .lse = take_rows(args.lse, q_rows),
                      .q_position = q_offset + q_rows.begin,
                      .k_position = args.k_offset + kv_rows.begin,
                      .scale = args.scale.value_or(default_scale),
                      .max_sms = args.max_sms,
                      .whole_q_len = args.q.seq,
                      .whole_kv_len = args.k.seq,
                      .named = names.values(args.scalars, args.tensors),
                      .named_tensors = args.tensors,
                      .dropout = args.dropout};
  if (!problem.is_ragged()) return call;
  const auto [batch, q_len, kv_len] = batch_sizes(problem, args);
  Sequences& sequences = call.sequences.emplace(args.sequences);
  sequences.batch = batch;
  sequences.max_q_len = q_len;
  sequences.max_kv_len = kv_len;
  if (sequences.block_table_stride == 0) sequences.block_table_stride = sequences.pages;
  call.aligns_ends = !args.q_offset;
  return call;
}

ForwardCall resolve(const Problem& problem, const ForwardArgs& args) {
  return resolve(problem, NameNeeds(problem), args);
}

}  // namespace streamattn
