// Gradients against differences of the forward pass in float64: that the formulas are the
// derivative, whatever the mask, score and sink.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "measure/backward_case.h"
#include "measure/backward_reference.h"
#include "tests/support/catch.h"

namespace streamattn {
namespace {

/// A case small enough to look at every element.
BackwardCase small_case(const char* mask, const char* score, const char* sink) {
  BackwardCase given{.forward = {.problem = {.dtype = DType::f32,
                                             .head_dim = 3,
                                             .value_head_dim = 2,
                                             .group_size = 2,
                                             .mask = Expr::parse(mask),
                                             .score = Expr::parse(score, ExprRole::score)},
                                 .shape = {2, 1, 4, 5}}};
  if (sink != nullptr) given.forward.problem.sink = Expr::parse(sink, ExprRole::score);
  return given;
}

/// What the gradients are those of: the sum of d_o * o, in float64.
double loss(const BackwardCase& given, const BackwardTensors& tensors) {
  const BackwardArgs args = tensors.args();
  ForwardArgs forward = tensors.forward.args();
  const auto rows = all_rows(forward);
  const std::vector<double> o = reference_forward(given.forward.problem, forward, rows).o;
  forward.o = args.d_o;
  const std::vector<double> d_o = read_rows(forward, rows).o;
  return std::inner_product(o.begin(), o.end(), d_o.begin(), 0.0);
}

/// The slope of the loss at each of `count` numbers of the tensors.
std::vector<double> slopes(const BackwardCase& given, const BackwardTensors& tensors, float* values,
                           std::size_t count) {
  constexpr float step = 0x1p-8F;
  std::vector<double> found;
  for (std::size_t i = 0; i < count; i++) {
    const float middle = values[i];
    double side[2];
    for (int s = 0; s < 2; s++) {
      values[i] = middle + (s == 0 ? -step : step);
      const double moved = static_cast<double>(values[i]) - middle;
      side[s] = loss(given, tensors) / std::abs(moved);
    }
    found.push_back((side[1] - side[0]) / 2);
    values[i] = middle;
  }
  return found;
}

void check_close(const char* name, const std::vector<double>& found,
                 const std::vector<double>& expected) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); i++) {
    CAPTURE(name, i, found[i], expected[i]);
    CHECK(std::abs(found[i] - expected[i]) < 2e-3 * (1 + std::abs(expected[i])));
  }
}

std::vector<double> slopes(const BackwardCase& given, const BackwardTensors& tensors,
                           HostTensor& tensor) {
  return slopes(given, tensors, reinterpret_cast<float*>(tensor.bytes().data()),
                tensor.bytes().size() / sizeof(float));
}

/// `sums` of [batch, head, row] in the order of memory, [batch, row, head].
std::vector<double> as_in_memory(const std::vector<double>& sums, const Tensor& t) {
  std::vector<double> dense(sums.size());
  std::size_t i = 0;
  for (std::int64_t b = 0; b < t.batch; b++)
    for (std::int64_t h = 0; h < t.heads; h++)
      for (std::int64_t s = 0; s < t.seq; s++)
        for (std::int64_t d = 0; d < t.dim; d++)
          dense[b * t.batch_stride + s * t.seq_stride + h * t.head_stride + d] = sums[i++];
  return dense;
}

void check_case(const BackwardCase& given) {
  INFO(given.describe());
  BackwardTensors tensors(given);
  compute_outputs(given, tensors);
  const Problem& problem = given.forward.problem;
  const BackwardArgs args = tensors.args();
  const auto rows = all_rows(tensors.forward.args());
  ForwardArgs of_keys;
  of_keys.q = args.k;
  const auto keys = all_rows(of_keys);
  const GradientValues d_q = query_gradients(problem, args, rows, Precision::float64);
  const KeyGradients d_k_d_v = key_gradients(problem, args, keys, Precision::float64);
  const auto d_elements = tensor_gradients(problem, args, Precision::float64);

  check_close("d_q", as_in_memory(d_q.values, args.q), slopes(given, tensors, tensors.forward.q));
  check_close("d_k", as_in_memory(d_k_d_v.d_k.values, args.k),
              slopes(given, tensors, tensors.forward.k));
  check_close("d_v", as_in_memory(d_k_d_v.d_v.values, args.v),
              slopes(given, tensors, tensors.forward.v));
  for (std::size_t i = 0; i < d_elements.size(); i++) {
    const TensorArg& tensor =
        *std::ranges::find(args.tensors, tensors.elements[i].name, &TensorArg::name);
    check_close(tensors.elements[i].name.c_str(), d_elements[i].values,
                slopes(given, tensors, static_cast<float*>(const_cast<void*>(tensor.data)),
                       d_elements[i].values.size()));
  }
}

}  // namespace

TEST_CASE("gradients are the slopes of the forward pass, for every kind of score and mask") {
  for (const char* mask : {"true", "k <= q", "k <= q && k > q - 2", "doc[k] == doc[q]"}) {
    for (const char* score :
         {"score", "1.5 * tanh(score / 1.5)", "score + slope[head] * (k - q)",
          "score + table[head, k - q + 2]", "score + bias[batch, head, q, k]",
          "score * temperature[q] + early[k]", "score + bias[q, k] * bias[k, q]",
          "select(k % 2 == 0, score * s[kv_head], 0.5 * score) + log(1.0 + score * score)"}) {
      check_case(small_case(mask, score, nullptr));
      check_case(small_case(mask, score, "logit[head]"));
    }
  }
}

TEST_CASE("a sink and a score may name one tensor") {
  check_case(small_case("k <= q", "score + both[head]", "both[head] * both[kv_head]"));
}

}  // namespace streamattn
