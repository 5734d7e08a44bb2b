// What every forward launch checks before it touches memory.
#include "compiler/operations/forward/check.h"

#include <llvm/Support/MathExtras.h>

#include <cmath>
#include <string_view>
#include <utility>

#include "compiler/operations/forward/check_sequences.h"
#include "compiler/operations/forward/sequences.h"
#include "compiler/operations/tensor_checks.h"

namespace streamattn {
namespace {

// Half the range of the type, so that sums of a position and a length do not overflow.
constexpr std::int64_t limit = std::int64_t{1} << 62;

/// Lengths of q and k and the number of heads, on which everything else depends.
void check_free_sizes(const Problem& problem, const ForwardArgs& args) {
  const Tensor& q = args.q;
  for (const auto& [name, size] :
       {std::pair("q: batch", q.batch), std::pair("q: seq", q.seq), std::pair("q: heads", q.heads),
        std::pair("k: seq", args.k.seq)}) {
    if (size < 0) refuse_argument("{0} is {1}, must not be negative", name, size);
    if (size >= limit) refuse_argument("{0} is {1}, must be less than {2}", name, size, limit);
  }
  check_sequence_sizes(problem, args);
  const auto [batch, q_len, kv_len] = batch_sizes(problem, args);
  std::int64_t rows = 0;
  if (llvm::MulOverflow(batch, q.heads, rows) || llvm::MulOverflow(rows, q_len, rows) ||
      rows >= limit)
    refuse_argument("q: batch {0} x heads {1} x seq {2} rows are too many, must be less than {3}",
                    batch, q.heads, q_len, limit);
  if (q.heads % problem.group_size != 0)
    refuse_argument("q: heads is {0}, needs a multiple of {1} (group_size)", q.heads,
                    problem.group_size);
}

void check_rows(std::string_view name, const std::optional<Rows>& rows, std::string_view tensor,
                std::int64_t length) {
  if (!rows || (0 <= rows->begin && rows->begin <= rows->end && rows->end <= length)) return;
  refuse_argument("{0}: [{1}, {2}) is not a range within the {3} rows of {4}", name, rows->begin,
                  rows->end, length, tensor);
}

void check_position(std::string_view name, std::int64_t position, std::int64_t length) {
  if (-limit < position && position < limit - length) return;
  refuse_argument("{0}: is {1} with {2} rows, positions must lie within +-{3}", name, position,
                  length, limit - 1);
}

/// Where row 0 of q can be. Where sequences differ, queries do not begin in front of the first key
/// unless there are more of them than keys.
Rows q_positions(const Problem& problem, const ForwardArgs& args) {
  const auto [batch, q_len, kv_len] = batch_sizes(problem, args);
  if (args.q_offset) return {*args.q_offset, *args.q_offset + q_len};
  if (problem.is_ragged()) return {args.k_offset, args.k_offset + kv_len};
  return {args.k_offset + kv_len - q_len, args.k_offset + kv_len};
}

void check_scalars(const Problem& problem, const ForwardArgs& args) {
  const auto [batch, q_len, kv_len] = batch_sizes(problem, args);
  check_rows("q_rows", args.q_rows, "q", args.q.seq);
  check_rows("kv_rows", args.kv_rows, "k", args.k.seq);
  check_position("k_offset", args.k_offset, kv_len);
  check_position("q_offset", args.q_offset.value_or(args.k_offset + kv_len - q_len), q_len);
  if (args.scale && !(std::isfinite(*args.scale) && *args.scale > 0))
    refuse_argument("scale: is {0}, must be finite and positive", *args.scale);
  if (const float rate = args.dropout.rate; !problem.dropout && rate != 0)
    refuse_argument("dropout: rate is {0:f4}, the problem has no dropout", rate);
  else if (!(rate >= 0 && rate < 1))
    refuse_argument("dropout: rate is {0:f4}, must be at least 0 and less than 1", rate);
  if (args.max_sms < 0) refuse_argument("max_sms: is {0}, must not be negative", args.max_sms);
}

/// Why k and v need the batch that they need.
std::string_view origin_of_entries(const Problem& problem) {
  if (problem.kv_layout == SequenceLayout::packed) return "k is packed";
  if (problem.kv_layout == SequenceLayout::paged) return "pages of k";
  return problem.q_layout == SequenceLayout::packed ? "batch of sequences" : "batch of q";
}

NameNeeds::Reach reach_of(const Problem& problem, const ForwardArgs& args) {
  const auto part = [](Rows whole, const std::optional<Rows>& rows) {
    return rows ? Rows{whole.begin + rows->begin, whole.begin + rows->end} : whole;
  };
  const auto [batch, q_len, kv_len] = batch_sizes(problem, args);
  return {.batch = batch,
          .heads = args.q.heads,
          .kv_heads = args.k.heads,
          .q = part(q_positions(problem, args), args.q_rows),
          .k = part({args.k_offset, args.k_offset + kv_len}, args.kv_rows)};
}

bool wants_lse(const Tensor& lse) {
  return lse.data != nullptr || lse.batch != 0 || lse.seq != 0 || lse.heads != 0 || lse.dim != 0;
}

}  // namespace

void check_forward_sizes(const Problem& problem, const NameNeeds& names, const ForwardArgs& args) {
  check_free_sizes(problem, args);
  const auto& [q, k, v, o, lse] = std::tie(args.q, args.k, args.v, args.o, args.lse);
  const std::int64_t kv_heads = q.heads / problem.group_size;
  const std::int64_t k_batch = entries_of_k(problem, args);
  const std::string_view k_batch_origin = origin_of_entries(problem);
  check_type("q", q.dtype, problem.dtype, "dtype of the problem");
  check_type("k", k.dtype, problem.dtype, "dtype of the problem");
  check_type("v", v.dtype, problem.dtype, "dtype of the problem");
  check_type("o", o.dtype, problem.output_dtype(), "out_dtype of the problem");
  check_dimensions("q", {{"dim", q.dim, problem.head_dim, "head_dim"}});
  check_dimensions("k", {{"batch", k.batch, k_batch, k_batch_origin},
                         {"heads", k.heads, kv_heads, "heads of q / group_size"},
                         {"dim", k.dim, problem.head_dim, "head_dim"}});
  check_dimensions("v", {{"batch", v.batch, k_batch, k_batch_origin},
                         {"seq", v.seq, k.seq, "seq of k"},
                         {"heads", v.heads, kv_heads, "heads of q / group_size"},
                         {"dim", v.dim, problem.v_head_dim(), "value_head_dim"}});
  check_dimensions("o", {{"batch", o.batch, q.batch, "batch of q"},
                         {"seq", o.seq, q.seq, "seq of q"},
                         {"heads", o.heads, q.heads, "heads of q"},
                         {"dim", o.dim, problem.v_head_dim(), "value_head_dim"}});
  if (wants_lse(lse)) {
    check_type("lse", lse.dtype, DType::f32, "natural logarithms");
    check_dimensions("lse", {{"batch", lse.batch, q.batch, "batch of q"},
                             {"seq", lse.seq, q.seq, "seq of q"},
                             {"heads", lse.heads, q.heads, "heads of q"},
                             {"dim", lse.dim, 1, "one value a row"}});
  }
  check_scalars(problem, args);
  names.check(args.scalars, args.tensors, reach_of(problem, args));
}

void check_forward(const Problem& problem, const NameNeeds& names, const ForwardArgs& args) {
  check_forward_sizes(problem, names, args);
  const NamedOperand outputs[] = {{"o", args.o}, {"lse", args.lse}};
  const NamedOperand inputs[] = {{"q", args.q}, {"k", args.k}, {"v", args.v}};
  for (const NamedOperand& operand : inputs) check_memory(operand);
  for (const NamedOperand& operand : outputs) check_memory(operand);
  NameNeeds::check_memory(args.tensors);
  check_sequence_memory(problem, args);
  check_overlaps(outputs, inputs, sequence_arrays(problem, args), {}, args.tensors, args.workspace);
}

void check_forward_sizes(const Problem& problem, const ForwardArgs& args) {
  check_forward_sizes(problem, NameNeeds(problem), args);
}

void check_forward(const Problem& problem, const ForwardArgs& args) {
  check_forward(problem, NameNeeds(problem), args);
}

}  // namespace streamattn
