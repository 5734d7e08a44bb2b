// Describes a case and makes its tensors.
#include "measure/forward_case.h"

namespace streamattn {
namespace {

Sizes query_sizes(const ForwardCase& given, std::int64_t dim) {
  return {given.shape.batch, given.shape.q_len, given.heads(), dim};
}

Sizes key_sizes(const ForwardCase& given, std::int64_t dim) {
  return {given.shape.batch, given.shape.kv_len, given.shape.kv_heads, dim};
}

InputExtent extent(const ForwardCase& given) {
  const std::int64_t q_offset =
      given.q_offset.value_or(given.k_offset + given.shape.kv_len - given.shape.q_len);
  return {.batch = given.shape.batch,
          .heads = given.heads(),
          .kv_heads = given.shape.kv_heads,
          .q_len = given.shape.q_len,
          .kv_len = given.shape.kv_len,
          .q = {q_offset, q_offset + given.shape.q_len},
          .k = {given.k_offset, given.k_offset + given.shape.kv_len}};
}

std::string text(const char* name, const std::optional<Rows>& rows) {
  if (!rows) return "";
  return std::string(", ") + name + " " + std::to_string(rows->begin) + ":" +
         std::to_string(rows->end);
}

}  // namespace

std::string ForwardCase::describe() const {
  std::string text = problem.describe() + "; batch " + std::to_string(shape.batch) + ", kv_heads " +
                     std::to_string(shape.kv_heads) + ", q_len " + std::to_string(shape.q_len) +
                     ", kv_len " + std::to_string(shape.kv_len) + ", " + name(layout) + ", gap " +
                     std::to_string(gap) + ", " +
                     (distribution == Distribution::normal ? "normal" : "outliers") + ", seed " +
                     std::to_string(seed);
  if (scale) text += ", scale " + std::to_string(*scale);
  if (q_offset) text += ", q_offset " + std::to_string(*q_offset);
  if (k_offset != 0) text += ", k_offset " + std::to_string(k_offset);
  text += streamattn::text("q_rows", q_rows) + streamattn::text("kv_rows", kv_rows);
  if (max_sms != 0) text += ", max_sms " + std::to_string(max_sms);
  for (const NamedNumber& number : scalars) text += ", " + streamattn::describe(number);
  for (const NamedInput& input : tensors) text += ", " + streamattn::describe(input);
  return text + (with_lse ? "" : ", no LSE");
}

NamedInputs named_inputs(const ForwardCase& given) {
  return {given.problem, extent(given), given.scalars, given.tensors, 3 * given.seed + 3};
}

ForwardTensors::ForwardTensors(const ForwardCase& given)
    : q(given.problem.dtype, query_sizes(given, given.problem.head_dim), given.layout, given.gap),
      k(given.problem.dtype, key_sizes(given, given.problem.head_dim), given.layout, given.gap),
      v(given.problem.dtype, key_sizes(given, given.problem.v_head_dim()), given.layout, given.gap),
      o(given.problem.output_dtype(), query_sizes(given, given.problem.v_head_dim()), given.layout,
        given.gap),
      lse(DType::f32, query_sizes(given, 1), given.layout, given.gap),
      named(named_inputs(given)),
      launch_{.scale = given.scale,
              .q_offset = given.q_offset,
              .k_offset = given.k_offset,
              .q_rows = given.q_rows,
              .kv_rows = given.kv_rows,
              .max_sms = given.max_sms},
      with_lse_(given.with_lse) {
  q.fill(3 * given.seed, given.distribution);
  k.fill(3 * given.seed + 1, given.distribution);
  v.fill(3 * given.seed + 2, given.distribution);
}

ForwardArgs ForwardTensors::args() const {
  ForwardArgs args = launch_;
  args.q = q.view(), args.k = k.view(), args.v = v.view(), args.o = o.view();
  if (with_lse_) args.lse = lse.view();
  args.scalars = named.scalars(), args.tensors = named.tensors();
  return args;
}

}  // namespace streamattn
