// The sequences of a forward call: how many, how long, and each of them as a call of its own.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/operations/forward/call.h"

namespace streamattn {

/// Sequences of a launch, and the most rows that one can have.
BatchSizes batch_sizes(const Problem& problem, const ForwardArgs& args);

/// The rows of q, o and lse that sequence `index` has. Reads its length: host memory.
struct SequenceRows {
  std::int64_t batch;  ///< entry of the tensors
  Rows rows;
};
SequenceRows query_rows(const ForwardArgs& args, std::int64_t index);

/// Where sequence `index` of a call whose sequences differ lies. Of paged keys, the rows that its
/// pages have room for. Reads lengths and offsets: host memory.
struct SequencePlaces {
  SequenceRows q, kv;
};
SequencePlaces sequence_places(const ForwardCall& call, std::int64_t index);

/// The view of these rows as a batch of one.
Tensor take_sequence(Tensor tensor, const SequenceRows& rows);

/// Sequence `index` as a call with dense lengths: a batch of one, whose keys may lie in pages.
/// Reads lengths and offsets: host memory.
ForwardCall sequence_call(const ForwardCall& call, std::int64_t index);

/// All of them; the call itself where sequences do not differ.
std::vector<ForwardCall> sequence_calls(const ForwardCall& call);

}  // namespace streamattn
