// Evaluates the derivatives of a problem's score and sink for the rows of a call, on the host.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compiler/operations/backward/call.h"
#include "compiler/operations/forward/evaluate.h"

namespace streamattn {

/// How an expression depends on an element of a named tensor.
struct FlatElementSlope {
  int tensor;                     ///< in the order of ExprNames
  FlatExpr slope;                 ///< the derivative with respect to the element
  std::vector<FlatExpr> indices;  ///< of the element
};

/// The derivatives of a problem's expressions. Throws Error (invalid_problem) where one is too
/// large an expression.
struct FlatSlopes {
  explicit FlatSlopes(const Problem& problem);

  std::optional<FlatExpr> of_score;  ///< with respect to the scaled product; none: 1
  std::vector<FlatElementSlope> of_score_elements, of_sink_elements;

  /// By tensor, see element_owners().
  std::vector<std::uint32_t> owners;

 private:
  FlatSlopes(const Problem& problem, const ExprNames& names);
};

/// Why a problem has no FlatSlopes; empty where it has.
std::string slopes_lack(const Problem& problem);

/// What the rows of a call contribute to gradients, in type Real: float or double. Named tensors
/// are in host memory. Not to be shared between threads.
template <class Real>
class SlopeEvaluator {
 public:
  /// Both must outlive it.
  SlopeEvaluator(const FlatSlopes& slopes, const BackwardCall& call);

  /// Multiplies d[i], the derivative with respect to the score of the row and key `first` + i, by
  /// that of the score with respect to the scaled product, products[i].
  void chain(const CallRow& row, std::int64_t first, std::int64_t count, const Real* products,
             Real* d);

  /// Calls add(element, derivative) with what the row and its keys from `first` on contribute to
  /// the gradient of a tensor that is wanted: `d` and `products` as in chain(), keys where d[i] is
  /// 0 left out. Neighbouring keys that take one element are added up, in float64.
  template <class Add>
  void each_element(int tensor, const CallRow& row, std::int64_t first, std::int64_t count,
                    const Real* products, const Real* d, const Add& add);

  /// The same of the row's sink: `d` is the derivative with respect to it.
  template <class Add>
  void each_sink_element(int tensor, const CallRow& row, Real d, const Add& add);

 private:
  struct Element {
    int tensor;
    RowEvaluator<Real> slope;
    std::vector<RowEvaluator<Real>> indices;
  };

  static std::vector<Element> prepared(const std::vector<FlatElementSlope>& slopes,
                                       const NamedValues& values);

  /// Offset of the element of each key in the gradient, and its derivative.
  void evaluate(Element& element, const CallRow& row, std::int64_t first, std::int64_t count,
                const Real* products);

  const BackwardCall& call_;
  std::optional<RowEvaluator<Real>> of_score_;
  std::vector<Element> score_elements_, sink_elements_;
  std::vector<Real> slopes_;
  std::vector<std::int64_t> index_, offsets_;
};

template <class Real>
template <class Add>
void SlopeEvaluator<Real>::each_element(int tensor, const CallRow& row, std::int64_t first,
                                        std::int64_t count, const Real* products, const Real* d,
                                        const Add& add) {
  for (Element& element : score_elements_) {
    if (element.tensor != tensor) continue;
    evaluate(element, row, first, count, products);
    for (std::int64_t i = 0; i < count;) {
      const std::int64_t offset = offsets_[i];
      double sum = 0;
      for (; i < count && offsets_[i] == offset; ++i)
        if (d[i] != 0) sum += static_cast<double>(d[i]) * slopes_[i];
      if (sum != 0) add(offset, sum);
    }
  }
}

template <class Real>
template <class Add>
void SlopeEvaluator<Real>::each_sink_element(int tensor, const CallRow& row, Real d,
                                             const Add& add) {
  for (Element& element : sink_elements_) {
    if (element.tensor != tensor) continue;
    evaluate(element, row, 0, 1, nullptr);
    add(offsets_[0], static_cast<double>(d) * slopes_[0]);
  }
}

}  // namespace streamattn
