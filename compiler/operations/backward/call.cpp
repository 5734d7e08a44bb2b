// Defaults and sub-ranges of a backward launch.
#include "compiler/operations/backward/call.h"

#include <algorithm>

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

}  // namespace streamattn
