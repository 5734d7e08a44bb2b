// What every append launch checks before it touches memory.
#include "compiler/operations/append/check.h"

#include <llvm/ADT/SmallVector.h>

#include <cmath>
#include <utility>

#include "compiler/operations/append/call.h"
#include "compiler/operations/forward/check_sequences.h"
#include "compiler/operations/tensor_checks.h"

namespace streamattn {
namespace {

// Half the range of the type, so that sums of a position and a length do not overflow.
constexpr std::int64_t limit = std::int64_t{1} << 62;

bool is_given(const Tensor& tensor) {
  return tensor.data != nullptr || tensor.batch != 0 || tensor.seq != 0 || tensor.heads != 0 ||
         tensor.dim != 0;
}

/// Batch, length and heads of the new rows and the rows of k, on which everything else depends.
void check_free_sizes(const Problem& problem, const AppendArgs& args) {
  const Tensor& rows = args.new_k;
  for (const auto& [name, size] :
       {std::pair("new_k: batch", rows.batch), std::pair("new_k: seq", rows.seq),
        std::pair("new_k: heads", rows.heads), std::pair("k: seq", args.k.seq)}) {
    if (size < 0) refuse_argument("{0} is {1}, must not be negative", name, size);
    if (size >= limit) refuse_argument("{0} is {1}, must be less than {2}", name, size, limit);
  }
  check_sequence_sizes(problem, forward_part(args), "new_k");
  const std::int64_t rows_of_cache = batch_sizes(problem, forward_part(args)).kv_len;
  if (args.k_offset <= -limit || args.k_offset >= limit - rows_of_cache)
    refuse_argument("k_offset: is {0} with {1} rows, positions must lie within +-{2}",
                    args.k_offset, rows_of_cache, limit - 1);
  if (args.max_sms < 0) refuse_argument("max_sms: is {0}, must not be negative", args.max_sms);
}

/// Refuses one of two tensors that belong together without the other.
void check_both(const char* name, const Tensor& tensor, const char* other_name,
                const Tensor& other) {
  if (is_given(tensor) == is_given(other)) return;
  const bool first_lacks = !is_given(tensor);
  refuse_argument("{0}: is left out, {1} is given", first_lacks ? name : other_name,
                  first_lacks ? other_name : name);
}

void check_queries(const Problem& problem, const AppendArgs& args) {
  check_both("q", args.q, "rotated_q", args.rotated_q);
  if (!is_given(args.q)) return;
  const Tensor& rows = args.new_k;
  for (const auto& [name, tensor] :
       {std::pair("q", &args.q), std::pair("rotated_q", &args.rotated_q)}) {
    check_type(name, tensor->dtype, problem.dtype, "dtype of the problem");
    check_dimensions(name, {{"batch", tensor->batch, rows.batch, "batch of new_k"},
                            {"seq", tensor->seq, rows.seq, "seq of new_k"},
                            {"heads", tensor->heads, rows.heads * problem.group_size,
                             "heads of new_k * group_size"},
                            {"dim", tensor->dim, problem.head_dim, "head_dim"}});
  }
}

void check_tables(const Rope& rope, std::int64_t pairs) {
  check_both("rope.cos", rope.cos, "rope.sin", rope.sin);
  for (const auto& [name, table] :
       {std::pair("rope.cos", &rope.cos), std::pair("rope.sin", &rope.sin)}) {
    check_type(name, table->dtype, DType::f32, "factors of pairs");
    if (table->seq < 1)
      refuse_argument("{0}: seq is {1}, needs 1 or more (positions)", name, table->seq);
    check_dimensions(name, {{"batch", table->batch, 1, "all sequences share it"},
                            {"seq", table->seq, rope.cos.seq, "seq of rope.cos"},
                            {"heads", table->heads, 1, "all heads share it"},
                            {"dim", table->dim, pairs, "half of rope.dim"}});
  }
}

void check_rope(const Problem& problem, const Rope& rope) {
  const bool has_tables = is_given(rope.cos) || is_given(rope.sin);
  if (rope.style == RopeStyle::none) {
    if (rope.dim != 0 || has_tables)
      refuse_argument("rope: {0} given, the style is none",
                      has_tables ? "tables are" : "a number of columns is");
    return;
  }
  const std::int64_t dim = rope.dim == 0 ? problem.head_dim : rope.dim;
  if (dim < 2 || dim > problem.head_dim || dim % 2 != 0)
    refuse_argument("rope: dim is {0}, needs an even number of columns up to head_dim {1}", dim,
                    problem.head_dim);
  for (const auto& [name, value] :
       {std::pair("theta", rope.theta), std::pair("factor", rope.factor)})
    if (!(std::isfinite(value) && value > 0))
      refuse_argument("rope: {0} is {1}, must be finite and positive", name, value);
  if (has_tables) check_tables(rope, dim / 2);
}

void check_sizes(const Problem& problem, const AppendArgs& args) {
  check_free_sizes(problem, args);
  const auto& [rows, k] = std::pair(args.new_k, args.k);
  const std::int64_t entries = entries_of_k(problem, forward_part(args));
  for (const auto& [name, tensor] :
       {std::pair("new_k", &args.new_k), std::pair("new_v", &args.new_v), std::pair("k", &args.k),
        std::pair("v", &args.v)})
    check_type(name, tensor->dtype, problem.dtype, "dtype of the problem");
  check_dimensions("new_k", {{"dim", rows.dim, problem.head_dim, "head_dim"}});
  check_dimensions("new_v", {{"batch", args.new_v.batch, rows.batch, "batch of new_k"},
                             {"seq", args.new_v.seq, rows.seq, "seq of new_k"},
                             {"heads", args.new_v.heads, rows.heads, "heads of new_k"},
                             {"dim", args.new_v.dim, problem.v_head_dim(), "value_head_dim"}});
  check_dimensions("k", {{"batch", k.batch, entries, "sequences or pages"},
                         {"heads", k.heads, rows.heads, "heads of new_k"},
                         {"dim", k.dim, problem.head_dim, "head_dim"}});
  check_dimensions("v", {{"batch", args.v.batch, entries, "sequences or pages"},
                         {"seq", args.v.seq, k.seq, "seq of k"},
                         {"heads", args.v.heads, rows.heads, "heads of new_k"},
                         {"dim", args.v.dim, problem.v_head_dim(), "value_head_dim"}});
  check_queries(problem, args);
  check_rope(problem, args.rope);
}

bool is_same(const Tensor& a, const Tensor& b) {
  return a.data == b.data && a.batch_stride == b.batch_stride && a.seq_stride == b.seq_stride &&
         a.head_stride == b.head_stride;
}

}  // namespace

void check_append(const Problem& problem, const AppendArgs& args) {
  check_sizes(problem, args);
  const NamedOperand outputs[] = {{"k", args.k}, {"v", args.v}, {"rotated_q", args.rotated_q}};
  llvm::SmallVector<NamedOperand, 5> inputs = {{"new_k", args.new_k}, {"new_v", args.new_v}};
  if (!is_same(args.q, args.rotated_q)) inputs.push_back({"q", args.q});
  if (is_given(args.rope.cos)) {
    inputs.push_back({"rope.cos", args.rope.cos});
    inputs.push_back({"rope.sin", args.rope.sin});
  }
  for (const NamedOperand& operand : inputs) check_memory(operand);
  for (const NamedOperand& operand : outputs) check_memory(operand);
  check_sequence_memory(problem, forward_part(args));
  check_overlaps(outputs, inputs, sequence_arrays(problem, forward_part(args)), {}, {}, {});
}

}  // namespace streamattn
