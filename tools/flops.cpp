// Counts visible pairs, in closed form where the mask has one.
#include "tools/flops.h"

#include <algorithm>
#include <atomic>

#include "compiler/operations/forward/evaluate.h"
#include "runtime/cpu/threads.h"

namespace streamattn {
namespace {

/// Pairs (i, j) with 0 <= i < rows, 0 <= j < keys and j <= i + shift.
double causal_pairs(std::int64_t rows, std::int64_t keys, std::int64_t shift) {
  // Rows before `first` see nothing, those from `last` on see every key, those between one more
  // key each than the row before.
  const std::int64_t first = std::clamp<std::int64_t>(-shift, 0, rows);
  const std::int64_t last = std::clamp<std::int64_t>(keys - 1 - shift, first, rows);
  const double ramp = 0.5 * static_cast<double>(last - first) * (first + last - 1 + 2 * shift + 2);
  return ramp + static_cast<double>(rows - last) * keys;
}

struct Positions {
  std::int64_t rows, keys;  // how many
  std::int64_t q, k;        // of the first ones
};

Positions positions(const ForwardCase& call) {
  const Rows q_rows = call.q_rows.value_or(Rows{0, call.shape.q_len});
  const Rows kv_rows = call.kv_rows.value_or(Rows{0, call.shape.kv_len});
  const std::int64_t q_offset =
      call.q_offset.value_or(call.k_offset + call.shape.kv_len - call.shape.q_len);
  return {q_rows.end - q_rows.begin, kv_rows.end - kv_rows.begin, q_offset + q_rows.begin,
          call.k_offset + kv_rows.begin};
}

/// Tensors without memory: a call is resolved from their sizes.
ForwardArgs arguments(const ForwardCase& call, const NamedInputs& named) {
  const Shape& shape = call.shape;
  const auto tensor = [&](std::int64_t rows, std::int64_t heads) {
    return Tensor::bshd(nullptr, call.problem.dtype, shape.batch, rows, heads, 1);
  };
  return {.q = tensor(shape.q_len, call.heads()),
          .k = tensor(shape.kv_len, shape.kv_heads),
          .q_offset = call.q_offset,
          .k_offset = call.k_offset,
          .q_rows = call.q_rows,
          .kv_rows = call.kv_rows,
          .scalars = named.scalars(),
          .tensors = named.tensors()};
}

std::int64_t pairs_of_row(const FlatProblem& exprs, const ForwardCall& call, const CallRow& row) {
  constexpr std::int64_t run = 4096;
  std::uint8_t seen[run];
  CallEvaluator<float> evaluator(exprs, call);
  std::int64_t pairs = 0;
  for (std::int64_t begin = 0; begin < call.kv_len(); begin += run) {
    const std::int64_t keys = std::min(run, call.kv_len() - begin);
    evaluator.see(row, begin, keys, seen);
    for (std::int64_t i = 0; i < keys; i++) pairs += seen[i];
  }
  return pairs;
}

Count visible_pairs(const ForwardCase& call) {
  const auto [rows, keys, q, k] = positions(call);
  const auto all = static_cast<double>(call.shape.batch * call.heads());
  if (call.problem.mask.same_as(Expr())) return {all * static_cast<double>(rows) * keys};
  if (!call.problem.mask.same_as(causal())) return counted_pairs(call);
  if (rows == keys && q == k) return {all * 0.5 * rows * keys};
  return {all * causal_pairs(rows, keys, q - k)};
}

}  // namespace

Count counted_pairs(const ForwardCase& given, double most) {
  const NamedInputs named = named_inputs(given);
  const ForwardCall call = resolve(given.problem, arguments(given, named));
  const FlatProblem exprs(given.problem);
  // Batch entries and heads that the mask does not tell apart are counted once.
  const auto uses = [&](Variable variable) {
    return given.problem.mask.node().uses_variable(variable);
  };
  const std::int64_t batches =
      uses(Variable::batch) ? call.batch() : std::min<std::int64_t>(call.batch(), 1);
  const std::int64_t heads = uses(Variable::head) || uses(Variable::kv_head)
                                 ? call.heads()
                                 : std::min<std::int64_t>(call.heads(), 1);
  const std::int64_t rows = batches * heads * call.q_len();
  if (rows == 0 || call.kv_len() == 0) return {};
  const double allowed = std::max(1.0, most / static_cast<double>(call.kv_len()));
  const bool is_estimate = static_cast<double>(rows) > allowed;
  const std::int64_t counted = is_estimate ? static_cast<std::int64_t>(allowed) : rows;
  std::atomic<std::int64_t> pairs = 0;
  parallel_for(counted, 0, [&](std::int64_t i) {
    // Of equal parts of the rows, the one in the middle.
    const std::int64_t row =
        is_estimate
            ? static_cast<std::int64_t>((static_cast<double>(i) + 0.5) * static_cast<double>(rows) /
                                        static_cast<double>(counted))
            : i;
    const std::int64_t all_heads = row / call.q_len();
    pairs += pairs_of_row(exprs, call, {all_heads / heads, all_heads % heads, row % call.q_len()});
  });
  const double repeats =
      static_cast<double>(call.batch() * call.heads()) / static_cast<double>(batches * heads);
  return {static_cast<double>(pairs) * (static_cast<double>(rows) / static_cast<double>(counted)) *
              repeats,
          is_estimate};
}

Count forward_flops(const ForwardCase& call) {
  const double width = 2.0 * (call.problem.head_dim + call.problem.v_head_dim());
  const Count pairs = visible_pairs(call);
  return {width * pairs.number, pairs.is_estimate};
}

}  // namespace streamattn
