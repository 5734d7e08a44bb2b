// Compares a result with float64.
#include "measure/accuracy.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "compiler/operations/forward/call.h"
#include "measure/reference.h"
#include "runtime/cpu/threads.h"
#include "support/half.h"

namespace streamattn {
namespace {

// What the exponential of a score, and finding the score, cost beside the dot products.
constexpr double multiplications_per_exponential = 64;

// What float32 sums of the same numbers in another order may differ by where the plain
// implementation happens to be exact.
constexpr double o_rounding = 1e-6;
constexpr double lse_rounding = 1e-4;

std::int64_t rows_to_check(const ForwardCall& call, double budget) {
  const double key_cost = call.q.dim + call.v.dim + multiplications_per_exponential;
  const double row_cost = static_cast<double>(call.kv_len() + 1) * key_cost;
  return std::max<std::int64_t>(256, static_cast<std::int64_t>(budget / row_cost));
}

bool has_nan(const ForwardCall& call, std::int64_t batch, std::int64_t head, std::int64_t row) {
  const Tensor& o = call.o;
  const std::int64_t first = batch * o.batch_stride + row * o.seq_stride + head * o.head_stride;
  for (std::int64_t i = 0; i < o.dim; ++i) {
    if (std::isnan(load_element(o.data, o.dtype, first + i))) return true;
  }
  const Tensor& lse = call.lse;
  return std::isnan(static_cast<const float*>(
      lse.data)[batch * lse.batch_stride + row * lse.seq_stride + head * lse.head_stride]);
}

std::int64_t count_nan_rows(const ForwardCall& call) {
  std::atomic<std::int64_t> count = 0;
  parallel_for(call.batch() * call.heads(), 0, [&](std::int64_t index) {
    for (std::int64_t row = 0; row < call.q_len(); ++row) {
      count += has_nan(call, index / call.heads(), index % call.heads(), row);
    }
  });
  return count;
}

}  // namespace

bool Accuracy::ok() const {
  return nan_rows == 0 && error <= 2 * plain_error + o_rounding &&
         lse_error <= 2 * plain_lse_error + lse_rounding;
}

Accuracy check_accuracy(const Call& call, HostTensors& tensors, std::uint64_t seed, double budget) {
  const ForwardArgs args = host_args(call, tensors);
  const ForwardCall resolved = resolve(call.problem, args);
  const auto rows = sample_rows(args, rows_to_check(resolved, budget), seed);
  const RowValues found = read_rows(args, rows);
  const RowValues exact = reference_forward(call.problem, args, rows);
  const RowValues plain = plain_forward(call.problem, args, rows);
  return {.rows = resolved.batch() * resolved.heads() * resolved.q_len(),
          .checked_rows = static_cast<std::int64_t>(rows.size()),
          .nan_rows = count_nan_rows(resolved),
          .error = relative_error(found.o, exact.o),
          .plain_error = relative_error(plain.o, exact.o),
          .lse_error = max_error(found.lse, exact.lse),
          .plain_lse_error = max_error(plain.lse, exact.lse)};
}

}  // namespace streamattn
