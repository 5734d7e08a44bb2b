// Attention row by row, key by key.
#include "measure/reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "compiler/operations/forward/evaluate.h"
#include "compiler/operations/forward/sequences.h"
#include "measure/dropped_pairs.h"
#include "runtime/cpu/threads.h"
#include "support/half.h"

namespace streamattn {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// One row of one head in type Real.
template <typename Real>
std::vector<Real> read_row(const Tensor& tensor, const OutputRow& at) {
  const std::int64_t first =
      at.batch * tensor.batch_stride + at.row * tensor.seq_stride + at.head * tensor.head_stride;
  std::vector<Real> values(tensor.dim);
  for (std::int64_t d = 0; d < tensor.dim; ++d) {
    values[d] = load_element(tensor.data, tensor.dtype, first + d);
  }
  return values;
}

/// The row of a key in k or v of a call of one sequence or dense ones.
template <typename Real>
std::vector<Real> read_key(const ForwardCall& call, const Tensor& tensor, const OutputRow& at) {
  if (call.pages.table == nullptr) return read_row<Real>(tensor, at);
  const std::int64_t page = call.pages.table[at.row / call.pages.size];
  if (page < 0) return std::vector<Real>(tensor.dim);
  return read_row<Real>(tensor, {page, at.head, at.row % call.pages.size});
}

/// Which keys of a call one row sees.
template <typename Real>
std::vector<std::uint8_t> seen_keys(CallEvaluator<Real>& evaluator, const Visible& visible,
                                    const ForwardCall& call, const CallRow& at) {
  std::vector<std::uint8_t> seen(call.kv_len());
  if (!visible) {
    evaluator.see(at, 0, call.kv_len(), seen.data());
    return seen;
  }
  for (std::int64_t k = 0; k < call.kv_len(); ++k)
    seen[k] = visible(call.q_position + at.row, call.k_position + k) ? 1 : 0;
  return seen;
}

template <typename Real>
struct RowResult {
  std::vector<Real> o;
  Real lse;
};

/// Attention of row `at` of `call` with every intermediate value a Real, probabilities rounded to
/// `p_type` unless that is f32.
template <typename Real>
RowResult<Real> attend(const Problem& problem, const FlatProblem& exprs, const ForwardCall& call,
                       const Visible& visible, const OutputRow& at, DType p_type) {
  CallEvaluator<Real> evaluator(exprs, call);
  const CallRow row{at.batch, at.head, at.row};
  const std::vector<std::uint8_t> seen = seen_keys(evaluator, visible, call, row);
  const std::int64_t kv_head = at.head / problem.group_size;
  const std::vector<Real> q = read_row<Real>(call.q, at);
  std::vector<Real> scores(seen.size());
  for (std::int64_t key = 0; key < call.kv_len(); ++key) {
    if (seen[key] == 0) continue;
    const auto k = read_key<Real>(call, call.k, {at.batch, kv_head, key});
    scores[key] =
        std::inner_product(q.begin(), q.end(), k.begin(), Real{0}) * static_cast<Real>(call.scale);
  }
  evaluator.change(row, 0, call.kv_len(), scores.data());

  Real maximum = problem.sink ? evaluator.sink(row) : -std::numeric_limits<Real>::infinity();
  RowResult<Real> result{std::vector<Real>(problem.v_head_dim()), maximum};
  if (std::ranges::count(seen, 1) == 0) return result;
  Real sum = 0;
  for (std::size_t key = 0; key < seen.size(); ++key)
    if (seen[key] != 0) maximum = std::max(maximum, scores[key]);
  if (problem.sink) sum = std::exp(result.lse - maximum);
  for (std::size_t key = 0; key < seen.size(); ++key)
    if (seen[key] != 0) sum += scores[key] = std::exp(scores[key] - maximum);
  for (std::int64_t key = 0; key < call.kv_len(); ++key) {
    if (seen[key] == 0) continue;
    const auto v = read_key<Real>(call, call.v, {at.batch, kv_head, key});
    Real probability = scores[key] / sum;
    if (p_type != DType::f32) probability = rounded(p_type, static_cast<float>(probability));
    if (problem.dropout) probability *= weight_factor<Real>(call.dropout, pair_of(call, row, key));
    for (std::size_t d = 0; d < v.size(); ++d) result.o[d] += probability * v[d];
  }
  result.lse = maximum + std::log(sum);
  return result;
}

/// Attention of every row of `rows` in type Real. No value is rounded to a type f32.
template <typename Real>
RowValues attend_rows(const Problem& problem, const ForwardArgs& args,
                      std::span<const OutputRow> rows, const Visible& visible, DType p_type,
                      DType o_type) {
  const std::vector<ForwardCall> calls = sequence_calls(resolve(problem, args));
  const FlatProblem exprs(problem);
  const std::int64_t first_row = args.q_rows ? args.q_rows->begin : 0;
  const auto width = static_cast<std::size_t>(problem.v_head_dim());
  RowValues values{std::vector<double>(rows.size() * width), std::vector<double>(rows.size())};
  parallel_for(static_cast<std::int64_t>(rows.size()), 0, [&](std::int64_t i) {
    OutputRow row{rows[i].batch, rows[i].head, rows[i].row - first_row};
    const ForwardCall& call = calls[problem.is_ragged() ? row.batch : 0];
    if (problem.is_ragged()) row.batch = 0;
    const RowResult<Real> result = attend<Real>(problem, exprs, call, visible, row, p_type);
    values.lse[i] = result.lse;
    for (std::size_t d = 0; d < width; ++d) {
      const Real value = result.o[d];
      values.o[i * width + d] =
          o_type == DType::f32 ? value : rounded(o_type, static_cast<float>(value));
    }
  });
  return values;
}

/// The rows that a launch computes, as one sequence in the order batch, head, row.
struct RowSequence {
  explicit RowSequence(const ForwardArgs& args)
      : first_row(args.q_rows ? args.q_rows->begin : 0), heads(args.q.heads) {
    for (const SequenceRows& written : written_rows(args)) {
      lengths.push_back(written.rows.end - written.rows.begin);
      begins.push_back(count);
      count += lengths.back() * heads;
    }
  }

  OutputRow operator[](std::int64_t i) const {
    const auto b = std::ranges::upper_bound(begins, i) - begins.begin() - 1;
    const std::int64_t in_entry = i - begins[b];
    return {b, in_entry / lengths[b], first_row + in_entry % lengths[b]};
  }

  std::int64_t first_row, heads, count = 0;
  std::vector<std::int64_t> lengths, begins;  // of batch entries
};

}  // namespace

std::vector<SequenceRows> written_rows(const ForwardArgs& args) {
  const bool packed = args.sequences.cu_seqlens_q != nullptr;
  const std::int64_t batch = packed ? args.sequences.batch : args.q.batch;
  std::vector<SequenceRows> rows;
  for (std::int64_t b = 0; b < batch; b++)
    rows.push_back(args.q_rows ? SequenceRows{b, *args.q_rows} : query_rows(args, b));
  return rows;
}

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
    const auto first = std::ranges::find_if(sequence.lengths, [](auto n) { return n > 0; });
    std::set<std::int64_t> drawn = {0, *first - 1};
    while (std::ssize(drawn) < count) drawn.insert(any(random));
    indices.assign(drawn.begin(), drawn.end());
  }
  std::vector<OutputRow> rows;
  for (const std::int64_t i : indices) rows.push_back(sequence[i]);
  return rows;
}

RowValues reference_forward(const Problem& problem, const ForwardArgs& args,
                            std::span<const OutputRow> rows, const Visible& visible) {
  return attend_rows<double>(problem, args, rows, visible, DType::f32, DType::f32);
}

RowValues plain_forward(const Problem& problem, const ForwardArgs& args,
                        std::span<const OutputRow> rows, const Visible& visible) {
  return attend_rows<float>(problem, args, rows, visible, problem.dtype, problem.output_dtype());
}

RowValues read_rows(const ForwardArgs& args, std::span<const OutputRow> rows) {
  RowValues values;
  for (const OutputRow& asked : rows) {
    const SequenceRows place = query_rows(args, asked.batch);
    const OutputRow row{place.batch, asked.head, place.rows.begin + asked.row};
    const auto o = read_row<double>(args.o, row);
    values.o.insert(values.o.end(), o.begin(), o.end());
    if (args.lse.data != nullptr) {
      values.lse.push_back(read_row<double>(args.lse, row)[0]);
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
