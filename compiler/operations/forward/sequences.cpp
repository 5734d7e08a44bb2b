// Lengths and places of sequences, read on the host.
#include "compiler/operations/forward/sequences.h"

#include <algorithm>

namespace streamattn {
namespace {

std::int64_t at_most(std::int64_t limit, std::int64_t room) {
  return limit > 0 ? std::min(limit, room) : room;
}

/// Rows [begin, end) of a sequence: of its entry in a dense tensor, of the tokens of a packed one.
Rows rows_of_sequence(const std::int32_t* cu_seqlens, const std::int32_t* lens,
                      std::int64_t longest, std::int64_t index) {
  const std::int64_t begin = cu_seqlens != nullptr ? cu_seqlens[index] : 0;
  std::int64_t length = longest;
  if (cu_seqlens != nullptr) length = std::min(length, cu_seqlens[index + 1] - begin);
  if (lens != nullptr) length = std::min<std::int64_t>(length, lens[index]);
  return {begin, begin + std::max<std::int64_t>(length, 0)};
}

}  // namespace

BatchSizes batch_sizes(const Problem& problem, const ForwardArgs& args) {
  const Sequences& sequences = args.sequences;
  const bool paged = problem.kv_layout == SequenceLayout::paged;
  return {
      .batch = problem.q_layout == SequenceLayout::packed ? sequences.batch : args.q.batch,
      .q_len = at_most(sequences.max_q_len, args.q.seq),
      .kv_len = at_most(sequences.max_kv_len, paged ? sequences.pages * args.k.seq : args.k.seq)};
}

SequenceRows query_rows(const ForwardArgs& args, std::int64_t index) {
  const Sequences& sequences = args.sequences;
  const Rows rows = rows_of_sequence(sequences.cu_seqlens_q, sequences.q_lens,
                                     at_most(sequences.max_q_len, args.q.seq), index);
  return {sequences.cu_seqlens_q != nullptr ? 0 : index, rows};
}

SequencePlaces sequence_places(const ForwardCall& call, std::int64_t index) {
  const Sequences& sequences = *call.sequences;
  const auto entry = [&](bool is_shared) { return is_shared ? 0 : index; };
  return {
      .q = {entry(sequences.cu_seqlens_q != nullptr),
            rows_of_sequence(sequences.cu_seqlens_q, sequences.q_lens, call.q_len(), index)},
      .kv = {entry(sequences.cu_seqlens_kv != nullptr || sequences.block_table != nullptr),
             rows_of_sequence(sequences.cu_seqlens_kv, sequences.kv_lens, call.kv_len(), index)}};
}

Tensor take_sequence(Tensor tensor, const SequenceRows& place) {
  if (tensor.data != nullptr)
    tensor.data = static_cast<char*>(tensor.data) +
                  (place.batch * tensor.batch_stride + place.rows.begin * tensor.seq_stride) *
                      bytes(tensor.dtype);
  tensor.batch = 1;
  tensor.seq = place.rows.end - place.rows.begin;
  return tensor;
}

ForwardCall sequence_call(const ForwardCall& call, std::int64_t index) {
  const Sequences& sequences = *call.sequences;
  const auto [q, kv] = sequence_places(call, index);
  ForwardCall one = call;
  one.sequences.reset();
  one.first_batch = index;
  one.q = take_sequence(call.q, q);
  one.k = take_sequence(call.k, kv);
  one.v = take_sequence(call.v, kv);
  one.o = take_sequence(call.o, q);
  one.lse = take_sequence(call.lse, q);
  if (call.aligns_ends) one.q_position = call.k_position + one.k.seq - one.q.seq;
  one.whole_q_len = one.q.seq;
  one.whole_kv_len = one.k.seq;
  if (sequences.block_table != nullptr)
    one.pages = {sequences.block_table + index * sequences.block_table_stride, call.k.seq};
  return one;
}

std::vector<ForwardCall> sequence_calls(const ForwardCall& call) {
  if (!call.sequences) return {call};
  std::vector<ForwardCall> calls;
  calls.reserve(call.batch());
  for (std::int64_t i = 0; i < call.batch(); i++) calls.push_back(sequence_call(call, i));
  return calls;
}

}  // namespace streamattn
