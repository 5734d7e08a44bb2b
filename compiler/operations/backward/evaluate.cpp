// From expressions to the slopes of gradients.
#include "compiler/operations/backward/evaluate.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

#include "compiler/expr/derivative.h"
#include "compiler/expr/element_slopes.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

std::vector<FlatElementSlope> flat(const Expr& expr, const ExprNames& names) {
  std::vector<FlatElementSlope> slopes;
  for (const auto& [element, slope] : element_slopes(expr)) {
    FlatElementSlope& added = slopes.emplace_back(
        FlatElementSlope{names.index_of(element.node()), FlatExpr(slope, names), {}});
    for (const Expr& index : element.node().operands) added.indices.emplace_back(index, names);
  }
  return slopes;
}

}  // namespace

FlatSlopes::FlatSlopes(const Problem& problem) : FlatSlopes(problem, ExprNames(problem)) {}

FlatSlopes::FlatSlopes(const Problem& problem, const ExprNames& names)
    : of_score_elements(flat(problem.score, names)) {
  const Expr slope = derivative(problem.score, expr_names::score);
  if (!slope.same_as(Expr(1.0))) of_score.emplace(slope, names);
  if (problem.sink) of_sink_elements = flat(*problem.sink, names);
  for (const ExprName& tensor : names.tensors)
    owners.push_back(element_owners(problem, tensor.name));
}

std::string slopes_lack(const Problem& problem) {
  try {
    const FlatSlopes slopes(problem);
    return {};
  } catch (const Error& error) {
    return llvm::formatv("the score has no derivative of bounded size: {0}", error.what());
  }
}

template <class Real>
SlopeEvaluator<Real>::SlopeEvaluator(const FlatSlopes& slopes, const BackwardCall& call)
    : call_(call),
      score_elements_(prepared(slopes.of_score_elements, call.forward.named)),
      sink_elements_(prepared(slopes.of_sink_elements, call.forward.named)) {
  if (slopes.of_score) of_score_.emplace(*slopes.of_score, call.forward.named);
}

template <class Real>
auto SlopeEvaluator<Real>::prepared(const std::vector<FlatElementSlope>& slopes,
                                    const NamedValues& values) -> std::vector<Element> {
  std::vector<Element> elements;
  for (const FlatElementSlope& from : slopes) {
    Element& to =
        elements.emplace_back(Element{from.tensor, RowEvaluator<Real>(from.slope, values), {}});
    for (const FlatExpr& index : from.indices) to.indices.emplace_back(index, values);
  }
  return elements;
}

template <class Real>
void SlopeEvaluator<Real>::chain(const CallRow& row, std::int64_t first, std::int64_t count,
                                 const Real* products, Real* d) {
  if (!of_score_) return;
  slopes_.resize(count);
  of_score_->start(point_of(call_.forward, row));
  of_score_->evaluate(call_.forward.k_position + first, count, products, slopes_.data());
  for (std::int64_t i = 0; i < count; ++i)
    if (d[i] != 0) d[i] *= slopes_[i];
}

template <class Real>
void SlopeEvaluator<Real>::evaluate(Element& element, const CallRow& row, std::int64_t first,
                                    std::int64_t count, const Real* products) {
  const ExprPoint point = point_of(call_.forward, row);
  const std::int64_t k = call_.forward.k_position + first;
  slopes_.resize(count);
  element.slope.start(point);
  element.slope.evaluate(k, count, products, slopes_.data());
  index_.resize(count);
  offsets_.assign(count, 0);
  for (std::size_t d = 0; d < element.indices.size(); ++d) {
    element.indices[d].start(point);
    element.indices[d].evaluate(k, count, index_.data());
    const std::int64_t last = call_.forward.named.tensors[element.tensor].sizes[d] - 1;
    const std::int64_t stride = call_.gradients[element.tensor].strides[d];
    for (std::int64_t i = 0; i < count; ++i)
      offsets_[i] += std::clamp<std::int64_t>(index_[i], 0, last) * stride;
  }
}

template class SlopeEvaluator<float>;
template class SlopeEvaluator<double>;

}  // namespace streamattn
