// Attention row by row, key by key.
#include "runtime/reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "runtime/cpu_threads.h"
#include "runtime/forward_call.h"
#include "runtime/half.h"

namespace streamattn {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Element `d` of row `row` of one head.
float element(const Tensor& tensor, DType type, std::int64_t batch, std::int64_t row,
              std::int64_t head, std::int64_t d) {
  return load_element(
      tensor.data, type,
      batch * tensor.batch_stride + row * tensor.seq_stride + head * tensor.head_stride + d);
}

/// The keys of a call that one row may see.
std::vector<std::int64_t> visible_keys(const Problem& problem, const ForwardCall& call,
                                       std::int64_t row) {
  std::vector<std::int64_t> keys;
  for (std::int64_t k = 0; k < call.kv_len(); ++k) {
    if (problem.mask.evaluate(call.q_position + row, call.k_position + k)) keys.push_back(k);
  }
  return keys;
}

/// Attention of one row with every intermediate value a Real, probabilities rounded to `p_type`
/// unless that is f32. Writes v_head_dim values to `o`; returns the LSE.
template <typename Real>
Real attend(const Problem& problem, const ForwardCall& call, const OutputRow& at, DType p_type,
            Real* o) {
  const std::int64_t kv_head = at.head / problem.group_size;
  const std::vector<std::int64_t> keys = visible_keys(problem, call, at.row);
  std::fill_n(o, problem.v_head_dim(), Real{0});
  if (keys.empty()) return -std::numeric_limits<Real>::infinity();

  std::vector<Real> p;
  for (const std::int64_t k : keys) {
    Real score = 0;
    for (int d = 0; d < problem.head_dim; ++d) {
      score += static_cast<Real>(element(call.q, problem.dtype, at.batch, at.row, at.head, d)) *
               static_cast<Real>(element(call.k, problem.dtype, at.batch, k, kv_head, d));
    }
    p.push_back(score * static_cast<Real>(call.scale));
  }
  const Real maximum = *std::max_element(p.begin(), p.end());
  Real sum = 0;
  for (Real& value : p) sum += value = std::exp(value - maximum);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    Real probability = p[i] / sum;
    if (p_type != DType::f32) probability = rounded(p_type, static_cast<float>(probability));
    for (int d = 0; d < problem.v_head_dim(); ++d) {
      o[d] += probability *
              static_cast<Real>(element(call.v, problem.dtype, at.batch, keys[i], kv_head, d));
    }
  }
  return maximum + std::log(sum);
}

/// Attention of every row of `rows` in type Real. No value is rounded to a type f32.
template <typename Real>
RowValues attend_rows(const Problem& problem, const ForwardArgs& args,
                      std::span<const OutputRow> rows, DType p_type, DType o_type) {
  const ForwardCall call = resolve(problem, args);
  const std::int64_t first_row = args.q_rows ? args.q_rows->begin : 0;
  const auto width = static_cast<std::size_t>(problem.v_head_dim());
  RowValues values{std::vector<double>(rows.size() * width), std::vector<double>(rows.size())};
  parallel_for(static_cast<std::int64_t>(rows.size()), 0, [&](std::int64_t i) {
    const OutputRow& row = rows[i];
    std::vector<Real> o(width);
    values.lse[i] =
        attend(problem, call, {row.batch, row.head, row.row - first_row}, p_type, o.data());
    for (std::size_t d = 0; d < width; ++d) {
      values.o[i * width + d] =
          o_type == DType::f32 ? o[d] : rounded(o_type, static_cast<float>(o[d]));
    }
  });
  return values;
}

}  // namespace

namespace {

/// The rows that a launch computes, as one sequence in the order batch, head, row.
struct RowSequence {
  explicit RowSequence(const ForwardArgs& args)
      : range(args.q_rows.value_or(Rows{0, args.q.seq})), heads(args.q.heads) {
    count = args.q.batch * heads * length();
  }

  std::int64_t length() const { return range.end - range.begin; }

  OutputRow operator[](std::int64_t i) const {
    return {i / length() / heads, i / length() % heads, range.begin + i % length()};
  }

  Rows range;
  std::int64_t heads, count;
};

}  // namespace

std::vector<OutputRow> all_rows(const ForwardArgs& args) {
  return sample_rows(args, RowSequence(args).count, 0);
}

std::vector<OutputRow> sample_rows(const ForwardArgs& args, std::int64_t count,
                                   std::uint64_t seed) {
  const RowSequence sequence(args);
  std::vector<std::int64_t> indices;
  if (count >= sequence.count) {
    indices.resize(sequence.count);
    std::iota(indices.begin(), indices.end(), 0);
  } else {
    std::mt19937_64 random(seed);
    std::uniform_int_distribution<std::int64_t> any(0, sequence.count - 1);
    std::set<std::int64_t> drawn = {0, sequence.length() - 1};
    while (std::ssize(drawn) < count) drawn.insert(any(random));
    indices.assign(drawn.begin(), drawn.end());
  }
  std::vector<OutputRow> rows;
  for (const std::int64_t i : indices) rows.push_back(sequence[i]);
  return rows;
}

RowValues reference_forward(const Problem& problem, const ForwardArgs& args,
                            std::span<const OutputRow> rows) {
  return attend_rows<double>(problem, args, rows, DType::f32, DType::f32);
}

RowValues plain_forward(const Problem& problem, const ForwardArgs& args,
                        std::span<const OutputRow> rows) {
  return attend_rows<float>(problem, args, rows, problem.dtype, problem.output_dtype());
}

RowValues read_rows(const Problem& problem, const ForwardArgs& args,
                    std::span<const OutputRow> rows) {
  RowValues values;
  for (const auto& [batch, head, row] : rows) {
    for (int d = 0; d < problem.v_head_dim(); ++d) {
      values.o.push_back(element(args.o, problem.output_dtype(), batch, row, head, d));
    }
    if (args.lse.data != nullptr) {
      values.lse.push_back(element(args.lse, DType::f32, batch, row, head, 0));
    }
  }
  return values;
}

double relative_error(std::span<const double> found, std::span<const double> expected) {
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i]) && std::isnan(found[i])) continue;
    if (!std::isfinite(found[i]) || !std::isfinite(expected[i])) {
      if (found[i] == expected[i]) continue;
      return infinity;
    }
    difference += (found[i] - expected[i]) * (found[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(norm == 0 ? difference : difference / norm);
}

double max_error(std::span<const double> found, std::span<const double> expected) {
  double worst = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (found[i] == expected[i]) continue;
    const double error = std::abs(found[i] - expected[i]);
    worst = std::max(worst, std::isnan(error) ? infinity : error);
  }
  return worst;
}

}  // namespace streamattn
