// Describes a case and makes its tensors.
#include "measure/forward_case.h"

namespace streamattn {
namespace {

InputExtent extent(const ForwardCase& given) {
  const std::int64_t q_offset =
      given.q_offset.value_or(given.k_offset + given.shape.kv_len - given.shape.q_len);
  return {.batch = given.shape.batch,
          .heads = given.heads(),
          .kv_heads = given.shape.kv_heads,
          .q_len = given.shape.q_len,
          .kv_len = given.shape.kv_len,
          .q = given.problem.is_ragged() && !given.q_offset
                   ? Rows{given.k_offset, given.k_offset + given.shape.kv_len}
                   : Rows{q_offset, q_offset + given.shape.q_len},
          .k = {given.k_offset, given.k_offset + given.shape.kv_len}};
}

std::string text(const char* name, const std::vector<std::int64_t>& lengths) {
  std::string list;
  for (const std::int64_t length : lengths)
    list += (list.empty() ? "" : ",") + std::to_string(length);
  return list.empty() ? "" : std::string(", ") + name + " " + list;
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
  text += streamattn::text("q lengths", lengths.q) + streamattn::text("lengths", lengths.kv);
  if (problem.kv_layout == SequenceLayout::paged)
    text += ", pages of " + std::to_string(lengths.page_size);
  if (scale) text += ", scale " + std::to_string(*scale);
  if (q_offset) text += ", q_offset " + std::to_string(*q_offset);
  if (k_offset != 0) text += ", k_offset " + std::to_string(k_offset);
  text += streamattn::text("q_rows", q_rows) + streamattn::text("kv_rows", kv_rows);
  if (problem.dropout)
    text += ", dropout " + std::to_string(dropout.rate) + " of seed " +
            std::to_string(dropout.seed) + " at " + std::to_string(dropout.offset);
  if (max_sms != 0) text += ", max_sms " + std::to_string(max_sms);
  for (const NamedNumber& number : scalars) text += ", " + streamattn::describe(number);
  for (const NamedInput& input : tensors) text += ", " + streamattn::describe(input);
  return text + (with_lse ? "" : ", no LSE");
}

NamedInputs named_inputs(const ForwardCase& given) {
  return {given.problem, extent(given), given.scalars, given.tensors, 3 * given.seed + 3};
}

ForwardTensors::ForwardTensors(const ForwardCase& given)
    : sequences(given.problem, given.shape, given.lengths, given.seed),
      q(given.problem.dtype, sequences.q_sizes(given.heads(), given.problem.head_dim), given.layout,
        given.gap),
      k(given.problem.dtype, sequences.kv_sizes(given.shape.kv_heads, given.problem.head_dim),
        given.layout, given.gap),
      v(given.problem.dtype, sequences.kv_sizes(given.shape.kv_heads, given.problem.v_head_dim()),
        given.layout, given.gap),
      o(given.problem.output_dtype(), sequences.q_sizes(given.heads(), given.problem.v_head_dim()),
        given.layout, given.gap),
      lse(DType::f32, sequences.q_sizes(given.heads(), 1), given.layout, given.gap),
      named(named_inputs(given)),
      launch_{.scale = given.scale,
              .q_offset = given.q_offset,
              .k_offset = given.k_offset,
              .q_rows = given.q_rows,
              .kv_rows = given.kv_rows,
              .sequences = sequences.view(),
              .dropout = given.dropout,
              .max_sms = given.max_sms},
      with_lse_(given.with_lse) {
  if (!given.problem.is_ragged()) {
    q.fill(3 * given.seed, given.distribution);
    k.fill(3 * given.seed + 1, given.distribution);
    v.fill(3 * given.seed + 2, given.distribution);
    return;
  }
  sequences.fill_queries(q, 3 * given.seed, given.distribution);
  sequences.fill_keys(k, 3 * given.seed + 1, given.distribution);
  sequences.fill_keys(v, 3 * given.seed + 2, given.distribution);
}

ForwardArgs ForwardTensors::args() const {
  ForwardArgs args = launch_;
  args.q = q.view(), args.k = k.view(), args.v = v.view(), args.o = o.view();
  if (with_lse_) args.lse = lse.view();
  args.scalars = named.scalars(), args.tensors = named.tensors();
  return args;
}

}  // namespace streamattn
