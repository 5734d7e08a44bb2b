// Compares gradients with float64.
#include "measure/backward_accuracy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "compiler/operations/backward/call.h"
#include "measure/backward_reference.h"
#include "support/half.h"

namespace streamattn {
namespace {

// A result is a few roundings of its terms away from the exact one. On a GPU, products drop bits
// and the exponential is approximate.
double rounding(Arithmetic arithmetic) {
  return arithmetic == Arithmetic::gpu ? 32 * 0x1p-24 : 8 * 0x1p-24;
}

double norm(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum);
}

/// |found - before - expected|, infinite where one is not finite and the other is not the same.
double distance(const std::vector<double>& found, const std::vector<double>& before,
                const std::vector<double>& expected) {
  double sum = 0;
  for (std::size_t i = 0; i < expected.size(); i++) {
    if (std::isnan(found[i]) && std::isnan(expected[i])) continue;
    const double base = before.empty() ? 0 : before[i];
    const double error = found[i] - base - expected[i];
    if (!std::isfinite(error)) return std::numeric_limits<double>::infinity();
    sum += error * error;
  }
  return std::sqrt(sum);
}

GradientError compare(std::string name, const std::vector<double>& found,
                      const std::vector<double>& before, const GradientValues& exact,
                      const GradientValues& plain, DType type, Arithmetic arithmetic) {
  const double size = norm(exact.values), unit = size > 0 ? size : 1;
  const double allowed =
      std::max({2 * distance(plain.values, {}, exact.values), size * unit_roundoff(type),
                rounding(arithmetic) * norm(exact.magnitudes)}) +
      norm(before) * 0x1p-24;
  return {.name = std::move(name),
          .error = distance(found, before, exact.values) / unit,
          .plain = distance(plain.values, {}, exact.values) / unit,
          .allowed = allowed / unit};
}

/// Those of rows that `of` writes to its output, from a tensor of the same rows.
std::vector<double> read(const ForwardArgs& of, const Tensor& tensor,
                         std::span<const OutputRow> rows) {
  ForwardArgs only = of;
  only.o = tensor;
  return read_rows(only, rows).o;
}

ForwardArgs query_rows(const BackwardArgs& args) {
  ForwardArgs queries;
  queries.q = args.q;
  queries.q_rows = args.q_rows;
  queries.sequences = args.sequences;
  return queries;
}

/// The rows of d_k and d_v as rows of an output.
ForwardArgs key_rows(const BackwardArgs& args) {
  ForwardArgs keys;
  keys.q = args.k;
  keys.q_rows = args.kv_rows;
  keys.sequences = {.batch = args.sequences.batch,
                    .cu_seqlens_q = args.sequences.cu_seqlens_kv,
                    .q_lens = args.sequences.kv_lens,
                    .max_q_len = args.sequences.max_kv_len};
  return keys;
}

std::int64_t count_rows(const ForwardArgs& args) {
  std::int64_t count = 0;
  for (const SequenceRows& written : written_rows(args))
    count += args.q.heads * (written.rows.end - written.rows.begin);
  return count;
}

}  // namespace

bool BackwardAccuracy::ok() const {
  return untouched &&
         std::all_of(errors.begin(), errors.end(), [](const GradientError& e) { return e.ok(); });
}

BackwardAccuracy check_backward(const BackwardCase& given, const BackwardTensors& tensors,
                                Arithmetic arithmetic, double budget) {
  const Problem& problem = given.forward.problem;
  const BackwardArgs args = tensors.args();
  const ForwardArgs queries = query_rows(args), keys = key_rows(args);
  BackwardAccuracy accuracy{.rows = count_rows(queries), .keys = count_rows(keys)};

  constexpr double multiplications_per_pair = 64;  // an exponential, and finding the score
  const double pair = multiplications_per_pair + 3 * problem.head_dim + 2 * problem.v_head_dim();
  const ForwardCall call = resolve(problem, args).forward;
  const double row_cost = pair * static_cast<double>(call.kv_len() + 1);
  const double key_cost = pair * static_cast<double>(call.q_len() + 1) * problem.group_size;
  const bool is_whole = row_cost * static_cast<double>(accuracy.rows) <= budget;
  const auto sample = [&](const ForwardArgs& of, double cost) {
    if (is_whole) return all_rows(of);
    const auto some = static_cast<std::int64_t>(budget / 2 / cost);
    return sample_rows(of, std::max<std::int64_t>(64, some), given.forward.seed);
  };
  const auto rows = count_rows(queries) == 0 ? std::vector<OutputRow>() : sample(queries, row_cost);
  const auto key_sample = count_rows(keys) == 0 ? std::vector<OutputRow>() : sample(keys, key_cost);
  accuracy.checked_rows = std::ssize(rows);
  accuracy.checked_keys = std::ssize(key_sample);

  const BackwardTensors fresh(given);  // what gradients are added to
  const auto before = [&](const ForwardArgs& of, const HostTensor& tensor,
                          std::span<const OutputRow> some) {
    return given.accumulate ? read(of, tensor.view(), some) : std::vector<double>();
  };
  accuracy.errors.push_back(
      compare("d_q", read(queries, args.d_q, rows), before(queries, fresh.d_q, rows),
              query_gradients(problem, args, rows, Precision::float64),
              query_gradients(problem, args, rows, Precision::plain), args.d_q.dtype, arithmetic));
  const KeyGradients exact = key_gradients(problem, args, key_sample, Precision::float64);
  const KeyGradients plain = key_gradients(problem, args, key_sample, Precision::plain);
  accuracy.errors.push_back(compare("d_k", read(keys, args.d_k, key_sample),
                                    before(keys, fresh.d_k, key_sample), exact.d_k, plain.d_k,
                                    args.d_k.dtype, arithmetic));
  accuracy.errors.push_back(compare("d_v", read(keys, args.d_v, key_sample),
                                    before(keys, fresh.d_v, key_sample), exact.d_v, plain.d_v,
                                    args.d_v.dtype, arithmetic));
  if (is_whole) {
    const auto exact_elements = tensor_gradients(problem, args, Precision::float64);
    const auto plain_elements = tensor_gradients(problem, args, Precision::plain);
    for (std::size_t i = 0; i < tensors.elements.size(); i++) {
      const auto& found = tensors.elements[i].values;
      const auto& old = fresh.elements[i].values;
      accuracy.errors.push_back(compare(
          tensors.elements[i].name, {found.begin(), found.end()},
          given.accumulate ? std::vector<double>(old.begin(), old.end()) : std::vector<double>(),
          exact_elements[i], plain_elements[i], DType::f32, arithmetic));
    }
  }
  const auto written = written_rows(queries), written_keys = written_rows(keys);
  accuracy.untouched = given.accumulate || (tensors.d_q.is_poison_but_for(written) &&
                                            tensors.d_k.is_poison_but_for(written_keys) &&
                                            tensors.d_v.is_poison_but_for(written_keys));
  return accuracy;
}

}  // namespace streamattn
