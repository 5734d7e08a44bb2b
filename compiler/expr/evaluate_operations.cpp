// The operations of a RowEvaluator, each on a run of keys.
#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>

#include "compiler/expr/evaluate.h"
#include "compiler/expr/real_functions.h"
#include "compiler/expr/wrapping.h"
#include "support/half.h"

namespace streamattn {
namespace {

std::int64_t floor_quotient(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
std::int64_t floor_remainder(std::int64_t a, std::int64_t b) {
  const std::int64_t remainder = a % b;
  return remainder + (remainder < 0 ? b : 0);
}

// By the sign bit: the oldest vectors of x86 have no comparison of 64 bits.
std::uint64_t is_at_most_zero(std::int64_t value) {
  return static_cast<std::uint64_t>(wrapping::difference(value, 1)) >> 63;
}
std::uint64_t differs_from_zero(std::int64_t value) {
  return static_cast<std::uint64_t>(value | wrapping::difference(0, value)) >> 63;
}

// As fmin and fmax: a NaN loses.
template <class Real>
Real smaller(Real a, Real b) {
  return a < b || b != b ? a : b;
}
template <class Real>
Real larger(Real a, Real b) {
  return a > b || b != b ? a : b;
}

std::int64_t value_of(Variable variable, const ExprPoint& point) {
  switch (variable) {
    case Variable::q:
      return point.q;
    case Variable::k:
      return point.k;
    case Variable::batch:
      return point.batch;
    case Variable::head:
      return point.head;
    case Variable::kv_head:
      return point.kv_head;
    case Variable::q_len:
      return point.q_len;
    case Variable::kv_len:
      return point.kv_len;
    case Variable::q_first:
      return point.q_first;
    case Variable::q_end:
      return point.q_end;
    case Variable::k_first:
      return point.k_first;
    case Variable::k_end:
      return point.k_end;
    case Variable::score:
      break;
  }
  assert(false);
  return 0;
}

template <class Value, class Compute>
void fill(Value* to, int count, const Compute& compute) {
  for (int i = 0; i < count; i++) to[i] = static_cast<Value>(compute(i));
}

/// Elements at `offsets` of a tensor.
template <class Element, class Value, class Convert>
void gather(const void* data, const std::int64_t* offsets, int count, Value* to,
            const Convert& convert) {
  const auto* elements = static_cast<const Element*>(data);
  for (int i = 0; i < count; i++) to[i] = static_cast<Value>(convert(elements[offsets[i]]));
}

constexpr auto as_it_is = [](auto element) { return element; };

}  // namespace

template <class Real>
void RowEvaluator<Real>::run_integer(int index, int count) {
  const Operation& operation = expr_.operations()[index];
  const auto& x = operation.operands;
  std::int64_t* to = integers(index);
  const std::int64_t* a = x.size() < 1 || operation.op == ExprOp::select ? nullptr : integers(x[0]);
  const std::int64_t* b = x.size() < 2 ? nullptr : integers(x[1]);
  switch (operation.op) {
    case ExprOp::constant:
      return fill(to, count, [&](int) { return operation.value; });
    case ExprOp::variable:
      if (operation.variable == Variable::k)
        return fill(to, count, [k = point_.k](int i) { return wrapping::sum(k, i); });
      return fill(to, count, [value = value_of(operation.variable, point_)](int) { return value; });
    case ExprOp::scalar:
      return fill(to, count, [&](int) { return values_.scalars[operation.name]; });
    case ExprOp::sum:
      return run_sum(index, count);
    case ExprOp::multiply:
      return fill(to, count, [=](int i) { return wrapping::product(a[i], b[i]); });
    case ExprOp::floor_divide:
      return fill(to, count, [=](int i) { return floor_quotient(a[i], b[i]); });
    case ExprOp::modulo:
      return fill(to, count, [=](int i) { return floor_remainder(a[i], b[i]); });
    case ExprOp::minimum:
      return fill(to, count, [=](int i) { return std::min(a[i], b[i]); });
    case ExprOp::maximum:
      return fill(to, count, [=](int i) { return std::max(a[i], b[i]); });
    case ExprOp::absolute:
      return fill(to, count,
                  [=](int i) { return a[i] < 0 ? wrapping::difference(0, a[i]) : a[i]; });
    case ExprOp::select:
      return fill(to, count, [=, c = booleans(x[0]), other = integers(x[2])](int i) {
        return c[i] != 0 ? b[i] : other[i];
      });
    default:
      assert(false);
  }
}

// Terms of the row are one number, and each other one a pass.
template <class Real>
void RowEvaluator<Real>::run_sum(int index, int count) {
  const auto& operations = expr_.operations();
  const Operation& operation = operations[index];
  const auto is_of_row = [&](std::size_t term) {
    return operations[operation.operands[term]].is_of_row;
  };
  std::int64_t row = operation.value;
  for (std::size_t term = 0; term < operation.operands.size(); term++)
    if (is_of_row(term))
      row = wrapping::sum(row, wrapping::product(*integers(operation.operands[term]),
                                                 operation.coefficients[term]));
  std::int64_t* to = integers(index);
  bool is_first = true;
  for (std::size_t term = 0; term < operation.operands.size(); term++) {
    if (is_of_row(term)) continue;
    const std::int64_t* x = integers(operation.operands[term]);
    const auto add_to = [&](const auto& before) {
      const std::int64_t factor = operation.coefficients[term];
      if (factor == 1)
        fill(to, count, [=](int i) { return wrapping::sum(before(i), x[i]); });
      else if (factor == -1)
        fill(to, count, [=](int i) { return wrapping::difference(before(i), x[i]); });
      else
        fill(to, count,
             [=](int i) { return wrapping::sum(before(i), wrapping::product(x[i], factor)); });
    };
    is_first ? add_to([=](int) { return row; }) : add_to([=](int i) { return to[i]; });
    is_first = false;
  }
  if (is_first) std::fill_n(to, count, row);
}

template <class Real>
void RowEvaluator<Real>::run_boolean(int index, int count) {
  const Operation& operation = expr_.operations()[index];
  const auto& x = operation.operands;
  std::uint8_t* to = booleans(index);
  const auto compare = [&](auto* a, const auto& holds) {
    fill(to, count, [&](int i) { return holds(a[i]); });
  };
  const auto compare_reals = [&](const auto& holds) {
    const Real *a = reals(x[0]), *b = reals(x[1]);
    fill(to, count, [&](int i) { return holds(a[i], b[i]); });
  };
  switch (operation.op) {
    case ExprOp::constant:
      return fill(to, count, [&](int) { return operation.value; });
    case ExprOp::at_most_zero:
      return compare(integers(x[0]), [](std::int64_t value) { return is_at_most_zero(value); });
    case ExprOp::is_zero:
      return compare(integers(x[0]),
                     [](std::int64_t value) { return differs_from_zero(value) ^ 1; });
    case ExprOp::is_not_zero:
      return compare(integers(x[0]), [](std::int64_t value) { return differs_from_zero(value); });
    case ExprOp::less:
      return compare_reals([](Real a, Real b) { return a < b; });
    case ExprOp::less_equal:
      return compare_reals([](Real a, Real b) { return a <= b; });
    case ExprOp::equal:
      return compare_reals([](Real a, Real b) { return a == b; });
    case ExprOp::logical_not:
      return compare(booleans(x[0]), [](std::uint8_t value) { return value == 0; });
    case ExprOp::logical_and:
    case ExprOp::logical_or:
      return run_logical(index, count);
    case ExprOp::bit:
      return fill(to, count, [word = integers(x[0]), at = integers(x[1])](int i) {
        return word[i] >> (at[i] & 31) & 1;
      });
    default:
      assert(false);
  }
}

template <class Real>
void RowEvaluator<Real>::run_logical(int index, int count) {
  const Operation& operation = expr_.operations()[index];
  std::uint8_t* to = booleans(index);
  std::copy_n(booleans(operation.operands[0]), count, to);
  for (std::size_t i = 1; i < operation.operands.size(); i++) {
    const std::uint8_t* x = booleans(operation.operands[i]);
    if (operation.op == ExprOp::logical_and)
      fill(to, count, [=](int key) { return to[key] & x[key]; });
    else
      fill(to, count, [=](int key) { return to[key] | x[key]; });
  }
}

template <class Real>
void RowEvaluator<Real>::run_real(int index, int count) {
  const Operation& operation = expr_.operations()[index];
  const auto& x = operation.operands;
  Real* to = reals(index);
  const auto is_real = [&](std::size_t operand) {
    return operand < x.size() && expr_.operations()[x[operand]].type == ExprType::real;
  };
  const Real* a = is_real(0) ? reals(x[0]) : nullptr;
  const Real* b = is_real(1) ? reals(x[1]) : nullptr;
  const auto apply = [&](const auto& function) {
    fill(to, count, [&](int i) { return function(a[i]); });
  };
  switch (operation.op) {
    case ExprOp::constant:
      return fill(to, count, [&](int) { return operation.real; });
    case ExprOp::variable:
      if (scores_ == nullptr) return fill(to, count, [&](int) { return point_.score; });
      return std::copy_n(scores_, count, to), void();
    case ExprOp::scalar:
      return fill(to, count,
                  [&](int) { return std::bit_cast<float>(values_.scalars[operation.name]); });
    case ExprOp::to_real:
      return fill(to, count, [from = integers(x[0])](int i) { return from[i]; });
    case ExprOp::add:
      return fill(to, count, [=](int i) { return a[i] + b[i]; });
    case ExprOp::subtract:
      return fill(to, count, [=](int i) { return a[i] - b[i]; });
    case ExprOp::multiply:
      return fill(to, count, [=](int i) { return a[i] * b[i]; });
    case ExprOp::divide:
      return fill(to, count, [=](int i) { return a[i] / b[i]; });
    case ExprOp::negate:
      return apply([](Real value) { return -value; });
    case ExprOp::minimum:
      return fill(to, count, [=](int i) { return smaller(a[i], b[i]); });
    case ExprOp::maximum:
      return fill(to, count, [=](int i) { return larger(a[i], b[i]); });
    case ExprOp::absolute:
      return apply([](Real value) { return std::abs(value); });
    case ExprOp::select:
      return fill(to, count, [=, c = booleans(x[0]), other = reals(x[2])](int i) {
        return c[i] != 0 ? b[i] : other[i];
      });
    case ExprOp::exp:
      return apply([](Real value) { return real_functions::exp(value); });
    case ExprOp::log:
      return apply([](Real value) { return std::log(value); });
    case ExprOp::tanh:
      return apply([](Real value) { return real_functions::tanh(value); });
    case ExprOp::sqrt:
      return apply([](Real value) { return std::sqrt(value); });
    default:
      assert(false);
  }
}

template <class Real>
void RowEvaluator<Real>::run_element(int index, int count) {
  const Operation& operation = expr_.operations()[index];
  const NamedTensor& tensor = values_.tensors[operation.name];
  std::int64_t offsets[run_length] = {};
  bool is_empty = false;
  for (std::size_t d = 0; d < operation.operands.size(); d++) {
    const std::int64_t last = tensor.sizes[d] - 1;
    is_empty |= last < 0;
    const std::int64_t* x = integers(operation.operands[d]);
    // Of a row: one offset for all keys.
    const int different = expr_.operations()[operation.operands[d]].is_of_row ? 0 : 1;
    for (int i = 0; i < count; i++)
      offsets[i] +=
          std::clamp<std::int64_t>(x[i * different], 0, last < 0 ? 0 : last) * tensor.strides[d];
  }
  const auto load = [&](auto* to) {
    if (is_empty) return std::fill_n(to, count, 0), void();
    switch (operation.dtype) {
      case DType::f16:
        return gather<std::uint16_t>(tensor.data, offsets, count, to, float_from_f16);
      case DType::bf16:
        return gather<std::uint16_t>(tensor.data, offsets, count, to, float_from_bf16);
      case DType::f32:
        return gather<float>(tensor.data, offsets, count, to, as_it_is);
      case DType::i32:
        return gather<std::int32_t>(tensor.data, offsets, count, to, as_it_is);
      case DType::u8:
        return gather<std::uint8_t>(tensor.data, offsets, count, to, as_it_is);
    }
  };
  operation.type == ExprType::real ? load(reals(index)) : load(integers(index));
}

template void RowEvaluator<float>::run_integer(int, int);
template void RowEvaluator<float>::run_boolean(int, int);
template void RowEvaluator<float>::run_real(int, int);
template void RowEvaluator<float>::run_element(int, int);
template void RowEvaluator<double>::run_integer(int, int);
template void RowEvaluator<double>::run_boolean(int, int);
template void RowEvaluator<double>::run_real(int, int);
template void RowEvaluator<double>::run_element(int, int);

}  // namespace streamattn
