// Defaults and sub-ranges of a forward launch.
#include "compiler/operations/forward_call.h"

#include <cmath>

namespace streamattn {
namespace {

/// The view of `rows` of `tensor`; what has no memory stays without.
Tensor take_rows(Tensor tensor, Rows rows, DType type) {
  if (tensor.data != nullptr) {
    tensor.data = static_cast<char*>(tensor.data) + rows.begin * tensor.seq_stride * bytes(type);
  }
  tensor.seq = rows.end - rows.begin;
  return tensor;
}

}  // namespace

ForwardCall resolve(const Problem& problem, const ForwardArgs& args) {
  const Rows q_rows = args.q_rows.value_or(Rows{0, args.q.seq});
  const Rows kv_rows = args.kv_rows.value_or(Rows{0, args.k.seq});
  const std::int64_t q_offset = args.q_offset.value_or(args.k_offset + args.k.seq - args.q.seq);
  const float default_scale = 1.0F / std::sqrt(static_cast<float>(problem.head_dim));
  return {.q = take_rows(args.q, q_rows, problem.dtype),
          .k = take_rows(args.k, kv_rows, problem.dtype),
          .v = take_rows(args.v, kv_rows, problem.dtype),
          .o = take_rows(args.o, q_rows, problem.output_dtype()),
          .lse = take_rows(args.lse, q_rows, DType::f32),
          .q_position = q_offset + q_rows.begin,
          .k_position = args.k_offset + kv_rows.begin,
          .scale = args.scale.value_or(default_scale),
          .max_sms = args.max_sms};
}

}  // namespace streamattn
