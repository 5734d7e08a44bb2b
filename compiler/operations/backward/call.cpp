// Defaults and sub-ranges of a backward launch.
#include "compiler/operations/backward/call.h"

#include <algorithm>

#include "compiler/operations/forward/sequences.h"

namespace streamattn {

ForwardArgs forward_part(const BackwardArgs& args) {
  return {.q = args.q,
          .k = args.k,
          .v = args.v,
          .o = args.o,
          .lse = args.lse,
          .scale = args.scale,
          .q_offset = args.q_offset,
          .k_offset = args.k_offset,
          .q_rows = args.q_rows,
          .kv_rows = args.kv_rows,
          .scalars = args.scalars,
          .tensors = args.tensors,
          .sequences = args.sequences,
          .dropout = args.dropout,
          .max_sms = args.max_sms,
          .workspace = args.workspace};
}

BackwardCall resolve(const Problem& problem, const NameNeeds& names, const BackwardArgs& args) {
  const Rows q_rows = args.q_rows.value_or(Rows{0, args.q.seq});
  const Rows kv_rows = args.kv_rows.value_or(Rows{0, args.k.seq});
  BackwardCall call{.forward = resolve(problem, names, forward_part(args)),
                    .d_o = take_rows(args.d_o, q_rows),
                    .d_q = take_rows(args.d_q, q_rows),
                    .d_k = take_rows(args.d_k, kv_rows),
                    .d_v = take_rows(args.d_v, kv_rows),
                    .accumulate = args.accumulate,
                    .gradients = {}};
  for (const TensorGradient& gradient : args.gradients)
    call.gradients[names.tensor_index(gradient.name)] = {
        gradient.data, gradient.strides,
        std::ranges::find(args.tensors, gradient.name, &TensorArg::name)->rank};
  return call;
}

BackwardCall resolve(const Problem& problem, const BackwardArgs& args) {
  return resolve(problem, NameNeeds(problem), args);
}

std::vector<BackwardCall> sequence_calls(const BackwardCall& call) {
  if (!call.forward.sequences) return {call};
  std::vector<BackwardCall> calls;
  calls.reserve(call.forward.batch());
  for (std::int64_t i = 0; i < call.forward.batch(); i++) {
    const auto [q, kv] = sequence_places(call.forward, i);
    BackwardCall& one = calls.emplace_back(call);
    one.forward = sequence_call(call.forward, i);
    one.d_o = take_sequence(call.d_o, q);
    one.d_q = take_sequence(call.d_q, q);
    one.d_k = take_sequence(call.d_k, kv);
    one.d_v = take_sequence(call.d_v, kv);
  }
  return calls;
}

}  // namespace streamattn
