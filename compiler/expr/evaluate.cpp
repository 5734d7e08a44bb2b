// Runs an expression over short runs of keys: its operations one after the other, so that every
// inner loop is one operation on contiguous values.
#include "compiler/expr/evaluate.h"

#include <algorithm>
#include <cassert>

#include "compiler/expr/wrapping.h"

namespace streamattn {

template <class Real>
RowEvaluator<Real>::RowEvaluator(const FlatExpr& expr, const NamedValues& values)
    : expr_(expr),
      values_(values),
      integers_(static_cast<std::size_t>(expr.places(ExprType::integer)) * run_length),
      booleans_(static_cast<std::size_t>(expr.places(ExprType::boolean)) * run_length),
      reals_(static_cast<std::size_t>(expr.places(ExprType::real)) * run_length) {}

template <class Real>
std::size_t RowEvaluator<Real>::at(int operation) const {
  return static_cast<std::size_t>(expr_.operations()[operation].place) * run_length;
}

template <class Real>
void RowEvaluator<Real>::start(const ExprPoint& row) {
  point_ = row;
  const auto& operations = expr_.operations();
  for (int i = 0; i < std::ssize(operations); i++) {
    if (!operations[i].is_of_row) continue;
    run(i, 1);
    if (operations[i].is_spread) spread(i);
  }
}

template <class Real>
void RowEvaluator<Real>::spread(int index) {
  switch (expr_.operations()[index].type) {
    case ExprType::boolean:
      return std::fill_n(booleans(index), run_length, *booleans(index)), void();
    case ExprType::integer:
      return std::fill_n(integers(index), run_length, *integers(index)), void();
    case ExprType::real:
      return std::fill_n(reals(index), run_length, *reals(index)), void();
  }
}

template <class Real>
void RowEvaluator<Real>::run(int index, int count) {
  const Operation& operation = expr_.operations()[index];
  if (operation.op == ExprOp::element) return run_element(index, count);
  switch (operation.type) {
    case ExprType::boolean:
      return run_boolean(index, count);
    case ExprType::integer:
      return run_integer(index, count);
    case ExprType::real:
      return run_real(index, count);
  }
}

template <class Real>
template <class Value>
void RowEvaluator<Real>::evaluate_to(std::int64_t k, std::int64_t count, const Real* scores,
                                     Value* to) {
  const auto& operations = expr_.operations();
  const int root = static_cast<int>(operations.size()) - 1;
  for (std::int64_t begin = 0; begin < count; begin += run_length) {
    const int keys = static_cast<int>(std::min<std::int64_t>(run_length, count - begin));
    point_.k = wrapping::sum(k, begin);
    scores_ = scores == nullptr ? nullptr : scores + begin;
    for (int i = 0; i <= root; i++)
      if (!operations[i].is_of_row) run(i, keys);
    if constexpr (std::is_same_v<Value, std::uint8_t>)
      std::copy_n(booleans(root), keys, to + begin);
    else if constexpr (std::is_same_v<Value, std::int64_t>)
      std::copy_n(integers(root), keys, to + begin);
    else
      std::copy_n(reals(root), keys, to + begin);
  }
}

template <class Real>
void RowEvaluator<Real>::evaluate(std::int64_t k, std::int64_t count, std::uint8_t* to) {
  assert(expr_.type() == ExprType::boolean);
  evaluate_to(k, count, nullptr, to);
}

template <class Real>
void RowEvaluator<Real>::evaluate(std::int64_t k, std::int64_t count, const Real* scores,
                                  Real* to) {
  assert(expr_.type() == ExprType::real);
  evaluate_to(k, count, scores, to);
}

template <class Real>
void RowEvaluator<Real>::evaluate(std::int64_t k, std::int64_t count, std::int64_t* to) {
  assert(expr_.type() == ExprType::integer);
  evaluate_to(k, count, nullptr, to);
}

template class RowEvaluator<float>;
template class RowEvaluator<double>;

}  // namespace streamattn
