// From expressions to the slopes of gradients.
#include "compiler/operations/backward/evaluate.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

#include "compiler/expr/build.h"
#include "compiler/expr/derivative.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

bool is_one(const Expr& real) { return real.node().is_constant() && real.node().real == 1; }
bool vanishes(const Expr& real) { return real.node().is_constant() && real.node().real == 0; }

/// The slopes of `expr` for every element of a tensor of reals in it.
std::vector<FlatElementSlope> element_slopes(const Expr& expr, const ExprNames& names) {
  std::vector<FlatElementSlope> slopes;
  for_each_node(expr, [&](const Expr& part) {
    const ExprNode& node = part.node();
    if (node.op != ExprOp::element || node.type != ExprType::real) return;
    const Expr slope = derivative(expr, part);
    if (vanishes(slope)) return;
    FlatElementSlope& added =
        slopes.emplace_back(FlatElementSlope{names.index_of(node), FlatExpr(slope, names), {}});
    for (const Expr& index : node.operands) added.indices.emplace_back(index, names);
  });
  return slopes;
}

constexpr int variable_bits = 16;  // more than there are variables

/// Bit variable_bits * d + n: the variable of number n is index d by itself.
std::uint64_t plain_indices(const ExprNode& element) {
  std::uint64_t found = 0;
  for (std::size_t d = 0; d < element.operands.size(); d++) {
    const ExprNode& index = element.operands[d].node();
    if (index.op == ExprOp::variable)
      found |= std::uint64_t{1} << (variable_bits * d + static_cast<int>(index.variable));
  }
  return found;
}

std::vector<std::uint32_t> tensor_owners(const Problem& problem, const ExprNames& names) {
  std::vector<std::uint64_t> common(names.tensors.size(), ~std::uint64_t{0});
  const auto note = [&](const Expr& part) {
    if (part.node().op == ExprOp::element)
      common[names.index_of(part.node())] &= plain_indices(part.node());
  };
  for_each_node(problem.score, note);
  if (problem.sink) for_each_node(*problem.sink, note);
  std::vector<std::uint32_t> owners;
  for (const std::uint64_t indices : common) {
    std::uint32_t variables = 0;
    for (int d = 0; d < 4; d++) variables |= indices >> (variable_bits * d) & 0xFFFF;
    owners.push_back(variables);
  }
  return owners;
}

}  // namespace

FlatSlopes::FlatSlopes(const Problem& problem) : FlatSlopes(problem, ExprNames(problem)) {}

FlatSlopes::FlatSlopes(const Problem& problem, const ExprNames& names)
    : of_score_elements(element_slopes(problem.score, names)),
      owners(tensor_owners(problem, names)) {
  const Expr slope = derivative(problem.score, expr_names::score);
  if (!is_one(slope)) of_score.emplace(slope, names);
  if (problem.sink) of_sink_elements = element_slopes(*problem.sink, names);
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
