// Counts visible pairs, in closed form where the mask has one.
#include "tools/flops.h"

#include <algorithm>

#include "compiler/expr/evaluate.h"

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

double visible_pairs(const ForwardCase& call) {
  const auto [rows, keys, q, k] = positions(call);
  if (call.problem.mask.same_as(Expr())) return static_cast<double>(rows) * keys;
  if (!call.problem.mask.same_as(causal())) return counted_pairs(call);
  if (rows == keys && q == k) return 0.5 * rows * keys;
  return causal_pairs(rows, keys, q - k);
}

}  // namespace

double counted_pairs(const ForwardCase& call) {
  const auto [rows, keys, q, k] = positions(call);
  std::int64_t pairs = 0;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < keys; ++j)
      pairs += holds_at(call.problem.mask, {.q = q + i, .k = k + j}) ? 1 : 0;
  }
  return static_cast<double>(pairs);
}

double forward_flops(const ForwardCase& call) {
  const double width = 2.0 * (call.problem.head_dim + call.problem.v_head_dim());
  return width * call.shape.batch * call.heads() * visible_pairs(call);
}

}  // namespace streamattn
