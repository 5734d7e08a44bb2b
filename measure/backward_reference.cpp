// Gradients pair by pair.
#include "measure/backward_reference.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "compiler/operations/backward/evaluate.h"
#include "measure/dropped_pairs.h"
#include "runtime/cpu/threads.h"
#include "support/half.h"

namespace streamattn {
namespace {

template <typename Real>
std::vector<Real> read_row(const Tensor& tensor, const CallRow& at) {
  const std::int64_t first =
      at.batch * tensor.batch_stride + at.row * tensor.seq_stride + at.head * tensor.head_stride;
  std::vector<Real> values(tensor.dim);
  for (std::int64_t d = 0; d < tensor.dim; ++d)
    values[d] = load_element(tensor.data, tensor.dtype, first + d);
  return values;
}

template <typename Real>
Real dot(const std::vector<Real>& a, const std::vector<Real>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), Real{0});
}

/// The same of absolute values: what its rounding is measured by.
template <typename Real>
Real dot_of_sizes(const std::vector<Real>& a, const std::vector<Real>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), Real{0}, std::plus<>(),
                            [](Real x, Real y) { return std::abs(x * y); });
}

/// A row of queries against some keys, backwards.
template <typename Real>
class PairRow {
 public:
  PairRow(const Problem& problem, const FlatProblem& exprs, const FlatSlopes& slopes,
          const BackwardCall& call)
      : call_(call), problem_(problem), evaluator_(exprs, call.forward), slopes_(slopes, call) {}

  void start(const CallRow& row) {
    row_ = row;
    q = read_row<Real>(call_.forward.q, row);
    d_o = read_row<Real>(call_.d_o, row);
    lse = read_row<Real>(call_.forward.lse, row)[0];
    const std::vector<Real> o = read_row<Real>(call_.forward.o, row);
    delta = dot(d_o, o), delta_size = dot_of_sizes(d_o, o);
  }

  void compute(Rows keys) {
    const std::int64_t count = keys.end - keys.begin;
    seen.resize(count);
    evaluator_.see(row_, keys.begin, count, seen.data());
    products.assign(count, 0), p.assign(count, 0), d_score.assign(count, 0), size.assign(count, 0);
    std::vector<Real> d_p(count), d_p_size(count);
    for (std::int64_t i = 0; i < count; ++i) {
      if (seen[i] == 0) continue;
      const CallRow key{row_.batch, row_.head / problem_.group_size, keys.begin + i};
      products[i] =
          dot(q, read_row<Real>(call_.forward.k, key)) * static_cast<Real>(call_.forward.scale);
      const std::vector<Real> v = read_row<Real>(call_.forward.v, key);
      d_p[i] = dot(d_o, v), d_p_size[i] = dot_of_sizes(d_o, v);
    }
    p = products;
    evaluator_.change(row_, keys.begin, count, p.data());
    for (std::int64_t i = 0; i < count; ++i) {
      const Real kept = problem_.dropout
                            ? weight_factor<Real>(call_.forward.dropout,
                                                  pair_of(call_.forward, row_, keys.begin + i))
                            : 1;
      p[i] = seen[i] != 0 ? stored(std::exp(p[i] - lse)) : 0;
      d_p[i] *= kept;
      d_score[i] = seen[i] != 0 ? p[i] * (d_p[i] - delta) : 0;
      size[i] = seen[i] != 0 ? p[i] * (d_p_size[i] * kept + delta_size) : 0;
      p[i] *= kept;
    }
    d_product = d_score, score_size = size;
    slopes_.chain(row_, keys.begin, count, products.data(), d_product.data());
    slopes_.chain(row_, keys.begin, count, products.data(), size.data());
    for (Real& x : size) x = std::abs(x);
  }

  /// As a textbook keeps P from its forward pass.
  Real stored(Real value) const {
    if constexpr (std::is_same_v<Real, double>) return value;
    return rounded(problem_.dtype, value);
  }
  Real sink() { return evaluator_.sink(row_); }
  SlopeEvaluator<Real>& slopes() { return slopes_; }
  const CallRow& row() const { return row_; }

  std::vector<Real> q, d_o;
  Real lse = 0, delta = 0, delta_size = 0;
  std::vector<std::uint8_t> seen;
  std::vector<Real> products, p;         // scaled products; probabilities, times what is kept
  std::vector<Real> d_score, d_product;  // derivatives with respect to scores and products
  std::vector<Real> score_size, size;    // of the terms of d_score and of d_product

 private:
  const BackwardCall& call_;
  const Problem& problem_;
  CallRow row_ = {};
  CallEvaluator<Real> evaluator_;
  SlopeEvaluator<Real> slopes_;
};

/// Everything that a computation in type Real is made of.
template <typename Real>
struct Computation {
  Computation(const Problem& given, const BackwardArgs& args)
      : problem(given), calls(sequence_calls(resolve(given, args))), exprs(given), slopes(given) {}

  PairRow<Real> pair_row(const BackwardCall& call) const { return {problem, exprs, slopes, call}; }

  /// Entry `batch` of the whole.
  struct Entry {
    const BackwardCall& call;
    std::int64_t batch;  // of the call
  };
  Entry entry(std::int64_t batch) const {
    if (problem.is_ragged()) return {calls[batch], 0};
    return {calls[0], batch};
  }

  /// As the matrix products of a textbook take it.
  Real operand(Real value) const {
    if constexpr (std::is_same_v<Real, double>) return value;
    return rounded(problem.dtype, value);
  }
  static double result(Real value, DType type) {
    if constexpr (std::is_same_v<Real, double>) return value;
    return rounded(type, value);
  }

  const Problem& problem;
  std::vector<BackwardCall> calls;  // one, or those of sequences that differ
  FlatProblem exprs;
  FlatSlopes slopes;
};

/// A row of a gradient while it is added up.
template <typename Real>
struct Sum {
  explicit Sum(std::size_t columns) : values(columns), magnitudes(columns) {}

  void add(Real factor, Real size, const std::vector<Real>& row) {
    for (std::size_t d = 0; d < values.size(); ++d) {
      values[d] += factor * row[d];
      magnitudes[d] += std::abs(size * row[d]);
    }
  }

  void store(Real factor, DType type, std::size_t at, GradientValues& to) const {
    for (std::size_t d = 0; d < values.size(); ++d) {
      to.values[at + d] = Computation<Real>::result(values[d] * factor, type);
      to.magnitudes[at + d] = magnitudes[d] * std::abs(factor);
    }
  }

  std::vector<Real> values, magnitudes;
};

GradientValues zeros(std::size_t count) {
  return {std::vector<double>(count), std::vector<double>(count)};
}

template <typename Real>
GradientValues query_gradients(const Problem& problem, const BackwardArgs& args,
                               std::span<const OutputRow> rows) {
  const Computation<Real> all(problem, args);
  const auto width = static_cast<std::size_t>(problem.head_dim);
  const std::int64_t first_row = args.q_rows ? args.q_rows->begin : 0;
  GradientValues to = zeros(rows.size() * width);
  parallel_for(static_cast<std::int64_t>(rows.size()), 0, [&](std::int64_t i) {
    const auto [whole, batch] = all.entry(rows[i].batch);
    const ForwardCall& call = whole.forward;
    PairRow<Real> pairs = all.pair_row(whole);
    pairs.start({batch, rows[i].head, rows[i].row - first_row});
    pairs.compute({0, call.kv_len()});
    Sum<Real> sum(width);
    for (std::int64_t key = 0; key < call.kv_len(); ++key)
      if (pairs.seen[key] != 0)
        sum.add(all.operand(pairs.d_product[key]), pairs.size[key],
                read_row<Real>(call.k, {batch, rows[i].head / problem.group_size, key}));
    sum.store(call.scale, args.d_q.dtype, i * width, to);
  });
  return to;
}

/// Rows that follow each other in one head, at place `index` of all.
struct KeyRun {
  std::int64_t batch, kv_head;
  Rows keys;
  std::size_t index;
};

std::vector<KeyRun> runs_of(std::span<const OutputRow> rows, std::int64_t first_key) {
  constexpr std::int64_t most = 32;  // so that all cores have some
  std::vector<KeyRun> runs;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto [batch, head, row] = rows[i];
    const std::int64_t key = row - first_key;
    if (!runs.empty() && runs.back().batch == batch && runs.back().kv_head == head &&
        runs.back().keys.end == key && key - runs.back().keys.begin < most)
      runs.back().keys.end++;
    else
      runs.push_back({batch, head, {key, key + 1}, i});
  }
  return runs;
}

template <typename Real>
KeyGradients key_gradients(const Problem& problem, const BackwardArgs& args,
                           std::span<const OutputRow> rows) {
  const Computation<Real> all(problem, args);
  const auto d = static_cast<std::size_t>(problem.head_dim);
  const auto dv = static_cast<std::size_t>(problem.v_head_dim());
  KeyGradients to{zeros(rows.size() * d), zeros(rows.size() * dv)};
  const std::vector<KeyRun> runs = runs_of(rows, args.kv_rows ? args.kv_rows->begin : 0);
  parallel_for(static_cast<std::int64_t>(runs.size()), 0, [&](std::int64_t r) {
    const KeyRun& run = runs[r];
    const std::int64_t count = run.keys.end - run.keys.begin;
    const auto [call, batch] = all.entry(run.batch);
    PairRow<Real> pairs = all.pair_row(call);
    std::vector<Sum<Real>> d_k(count, Sum<Real>(d)), d_v(count, Sum<Real>(dv));
    for (std::int64_t h = 0; h < problem.group_size; ++h) {
      for (std::int64_t row = 0; row < call.forward.q_len(); ++row) {
        pairs.start({batch, run.kv_head * problem.group_size + h, row});
        pairs.compute(run.keys);
        for (std::int64_t i = 0; i < count; ++i) {
          if (pairs.seen[i] == 0) continue;
          d_k[i].add(all.operand(pairs.d_product[i]), pairs.size[i], pairs.q);
          d_v[i].add(all.operand(pairs.p[i]), pairs.p[i], pairs.d_o);
        }
      }
    }
    for (std::int64_t i = 0; i < count; ++i) {
      d_k[i].store(call.forward.scale, args.d_k.dtype, (run.index + i) * d, to.d_k);
      d_v[i].store(1, args.d_v.dtype, (run.index + i) * dv, to.d_v);
    }
  });
  return to;
}

/// Calls add(element, derivative) for all that a call contributes to the gradient of a named
/// tensor, and add_size(element, size) with the sizes of its terms.
template <typename Real, typename Add, typename AddSize>
void add_elements(const Problem& problem, const BackwardCall& whole, int tensor,
                  PairRow<Real> pairs, const Add& add, const AddSize& add_size) {
  const ForwardCall& call = whole.forward;
  for (std::int64_t i = 0; i < call.batch() * call.heads() * call.q_len(); ++i) {
    pairs.start(
        {i / call.q_len() / call.heads(), i / call.q_len() % call.heads(), i % call.q_len()});
    pairs.compute({0, call.kv_len()});
    pairs.slopes().each_element(tensor, pairs.row(), 0, call.kv_len(), pairs.products.data(),
                                pairs.d_score.data(), add);
    pairs.slopes().each_element(tensor, pairs.row(), 0, call.kv_len(), pairs.products.data(),
                                pairs.score_size.data(), add_size);
    if (!problem.sink) continue;
    const Real d_sink = -std::exp(pairs.sink() - pairs.lse) * pairs.delta;
    pairs.slopes().each_sink_element(tensor, pairs.row(), d_sink, add);
    pairs.slopes().each_sink_element(tensor, pairs.row(), d_sink, add_size);
  }
}

template <typename Real>
std::vector<GradientValues> tensor_gradients(const Problem& problem, const BackwardArgs& args) {
  const NameNeeds names(problem);
  std::vector<GradientValues> all_gradients;
  for (const TensorGradient& wanted : args.gradients) {
    const TensorArg& like = *std::ranges::find(args.tensors, wanted.name, &TensorArg::name);
    std::size_t count = 1;
    for (int d = 0; d < like.rank; ++d) count *= static_cast<std::size_t>(like.sizes[d]);
    GradientValues& to = all_gradients.emplace_back(zeros(count));
    if (count == 0) continue;
    Computation<Real> all(problem, args);
    const auto tensor = static_cast<int>(names.tensor_index(wanted.name));
    const auto add = [&](std::int64_t at, double value) {
      to.values[at] += static_cast<Real>(value);
    };
    const auto add_size = [&](std::int64_t at, double value) {
      to.magnitudes[at] += std::abs(value);
    };
    for (BackwardCall& call : all.calls) {
      call.gradients[tensor].strides = TensorGradient::dense(nullptr, like).strides;
      add_elements(problem, call, tensor, all.pair_row(call), add, add_size);
    }
  }
  return all_gradients;
}

}  // namespace

GradientValues query_gradients(const Problem& problem, const BackwardArgs& args,
                               std::span<const OutputRow> rows, Precision precision) {
  return precision == Precision::float64 ? query_gradients<double>(problem, args, rows)
                                         : query_gradients<float>(problem, args, rows);
}

KeyGradients key_gradients(const Problem& problem, const BackwardArgs& args,
                           std::span<const OutputRow> rows, Precision precision) {
  return precision == Precision::float64 ? key_gradients<double>(problem, args, rows)
                                         : key_gradients<float>(problem, args, rows);
}

std::vector<GradientValues> tensor_gradients(const Problem& problem, const BackwardArgs& args,
                                             Precision precision) {
  return precision == Precision::float64 ? tensor_gradients<double>(problem, args)
                                         : tensor_gradients<float>(problem, args);
}

}  // namespace streamattn
