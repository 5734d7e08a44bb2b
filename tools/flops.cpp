// Counts visible pairs in closed form.
#include "tools/flops.h"

#include <algorithm>
#include <cassert>

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

double visible_pairs(const Call& call) {
  const Rows q_rows = call.q_rows.value_or(Rows{0, call.shape.q_len});
  const Rows kv_rows = call.kv_rows.value_or(Rows{0, call.shape.kv_len});
  const std::int64_t rows = q_rows.end - q_rows.begin;
  const std::int64_t keys = kv_rows.end - kv_rows.begin;
  if (call.problem.mask == Expr()) return static_cast<double>(rows) * keys;

  assert(call.problem.mask == causal());
  const std::int64_t offset =
      call.q_offset.value_or(call.k_offset + call.shape.kv_len - call.shape.q_len);
  const std::int64_t shift = offset + q_rows.begin - call.k_offset - kv_rows.begin;
  if (rows == keys && shift == 0) return 0.5 * rows * keys;
  return causal_pairs(rows, keys, shift);
}

}  // namespace

double forward_flops(const Call& call) {
  const double width = 2.0 * (call.problem.head_dim + call.problem.v_head_dim());
  return width * call.shape.batch * call.heads() * visible_pairs(call);
}

}  // namespace streamattn
