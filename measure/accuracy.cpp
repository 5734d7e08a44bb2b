// Compares a result with float64.
#include "measure/accuracy.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "compiler/operations/forward/sequences.h"
#include "runtime/cpu/threads.h"
#include "support/half.h"

namespace streamattn {
namespace {

// What the exponential of a score, and finding the score, cost beside the dot products.
constexpr double multiplications_per_exponential = 64;

std::int64_t rows_to_check(const ForwardCall& call, double budget) {
  const double key_cost = call.q.dim + call.v.dim + multiplications_per_exponential;
  const double row_cost = static_cast<double>(call.kv_len() + 1) * key_cost;
  return std::max<std::int64_t>(256, static_cast<std::int64_t>(budget / row_cost));
}

bool has_nan(const Tensor& tensor, std::int64_t batch, std::int64_t head, std::int64_t row) {
  const std::int64_t first =
      batch * tensor.batch_stride + row * tensor.seq_stride + head * tensor.head_stride;
  for (std::int64_t i = 0; i < tensor.dim; ++i) {
    if (std::isnan(load_element(tensor.data, tensor.dtype, first + i))) return true;
  }
  return false;
}

std::int64_t count_nan_rows(const ForwardCall& call) {
  std::atomic<std::int64_t> count = 0;
  for (const ForwardCall& one : sequence_calls(call)) {
    parallel_for(one.batch() * one.heads(), 0, [&](std::int64_t index) {
      const std::int64_t batch = index / one.heads(), head = index % one.heads();
      for (std::int64_t row = 0; row < one.q_len(); ++row) {
        count += has_nan(one.o, batch, head, row) ||
                 (one.lse.data != nullptr && has_nan(one.lse, batch, head, row));
      }
    });
  }
  return count;
}

// In float32 a result is a few roundings away from the exact one (scale, exponential, sum,
// division) where the plain one may be lucky, as for a row of one key.
constexpr double float_noise = 4 * 0x1p-24;

// What a GPU may differ by where the plain implementation happens to be exact. Matrix instructions
// cut off what is below the last bits of the largest of the products that they add.
constexpr double gpu_o_noise = 1e-7, gpu_lse_noise = 2e-5, gpu_product_noise = 0x1p-21;

double largest_finite(const std::vector<double>& values) {
  double largest = 1;
  for (const double value : values) {
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  }
  return largest;
}

/// Compares `rows` in the outputs of `args`.
Errors compare(const Problem& problem, const ForwardArgs& args, std::span<const OutputRow> rows,
               const RowValues& exact, const RowValues& plain, Arithmetic arithmetic) {
  const RowValues found = read_rows(args, rows);
  Errors errors{.o = relative_error(found.o, exact.o),
                .lse = args.lse.data == nullptr ? 0 : max_error(found.lse, exact.lse),
                .plain_o = relative_error(plain.o, exact.o),
                .plain_lse = max_error(plain.lse, exact.lse)};
  // Weights are rounded. Where one key has nearly all of a row, plain attention's is 1, exactly,
  // and one relative to an earlier maximum is not: of few rows, these may be most.
  const double of_weights = unit_roundoff(problem.dtype);
  if (arithmetic == Arithmetic::gpu) {
    errors.o_allowed = std::max(2 * errors.plain_o, of_weights) + gpu_o_noise;
    errors.lse_allowed = 2 * errors.plain_lse +
                         std::max(gpu_lse_noise, gpu_product_noise * largest_finite(exact.lse));
  } else {
    errors.o_allowed = std::max(
        {2 * errors.plain_o, float_noise, of_weights, unit_roundoff(problem.output_dtype())});
    errors.lse_allowed = std::max(2 * errors.plain_lse, float_noise * largest_finite(exact.lse));
  }
  return errors;
}

}  // namespace

Errors errors_of(const Problem& problem, const ForwardArgs& args, std::span<const OutputRow> rows,
                 const Visible& visible, Arithmetic arithmetic) {
  return compare(problem, args, rows, reference_forward(problem, args, rows, visible),
                 plain_forward(problem, args, rows, visible), arithmetic);
}

Expected::Expected(const ForwardCase& given, const ForwardTensors& tensors, double budget)
    : problem_(given.problem), with_lse_(given.with_lse) {
  const ForwardArgs args = tensors.args();
  rows_ = sample_rows(args, rows_to_check(resolve(problem_, args), budget), given.seed);
  exact_ = reference_forward(problem_, args, rows_);
  plain_ = plain_forward(problem_, args, rows_);
}

Accuracy Expected::accuracy_of(const ForwardTensors& tensors, Arithmetic arithmetic) const {
  const ForwardArgs args = tensors.args();
  const ForwardCall resolved = resolve(problem_, args);
  const std::vector<SequenceRows> written = written_rows(args);
  std::int64_t count = 0;
  for (const SequenceRows& some : written) count += some.rows.end - some.rows.begin;
  const std::vector<SequenceRows> with_lse = with_lse_ ? written : std::vector<SequenceRows>();
  return {
      .rows = count * resolved.heads(),
      .checked_rows = static_cast<std::int64_t>(rows_.size()),
      .nan_rows = count_nan_rows(resolved),
      .untouched = tensors.o.is_poison_but_for(written) && tensors.lse.is_poison_but_for(with_lse),
      .errors = compare(problem_, args, rows_, exact_, plain_, arithmetic)};
}

Accuracy check_accuracy(const ForwardCase& given, const ForwardTensors& tensors,
                        Arithmetic arithmetic, double budget) {
  return Expected(given, tensors, budget).accuracy_of(tensors, arithmetic);
}

}  // namespace streamattn
