// Lengths and places of sequences, read on the host.
#include "compiler/operations/forward/sequences.h"

#include <algorithm>

namespace streamattn {
namespace {

std::int64_t at_most(std::int64_t limit, std::int64_t room) {
  return limit > 0 ? std::min(limit, room) : room;
}

/// `count` rows of `tensor` from row `first` of entry `batch` on, as a batch of one.
Tensor rows_of(Tensor tensor, std::int64_t batch, std::int64_t first, std::int64_t count) {
  if (tensor.data != nullptr)
    tensor.data = static_cast<char*>(tensor.data) +
                  (batch * tensor.batch_stride + first * tensor.seq_stride) * bytes(tensor.dtype);
  tensor.batch = 1;
  tensor.seq = count;
  return tensor;
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

ForwardCall sequence_call(const ForwardCall& call, std::int64_t index) {
  const Sequences& sequences = *call.sequences;
  const Rows q = rows_of_sequence(sequences.cu_seqlens_q, sequences.q_lens, call.q_len(), index);
  const Rows kv =
      rows_of_sequence(sequences.cu_seqlens_kv, sequences.kv_lens, call.kv_len(), index);
  const std::int64_t q_len = q.end - q.begin, kv_len = kv.end - kv.begin;
  const std::int64_t q_entry = sequences.cu_seqlens_q != nullptr ? 0 : index;
  const std::int64_t kv_entry =
      sequences.cu_seqlens_kv != nullptr || sequences.block_table != nullptr ? 0 : index;
  ForwardCall one = call;
  one.sequences.reset();
  one.first_batch = index;
  one.q = rows_of(call.q, q_entry, q.begin, q_len);
  one.k = rows_of(call.k, kv_entry, kv.begin, kv_len);
  one.v = rows_of(call.v, kv_entry, kv.begin, kv_len);
  one.o = rows_of(call.o, q_entry, q.begin, q_len);
  one.lse = rows_of(call.lse, q_entry, q.begin, q_len);
  if (call.aligns_ends) one.q_position = call.k_position + kv_len - q_len;
  one.whole_q_len = q_len;
  one.whole_kv_len = kv_len;
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
