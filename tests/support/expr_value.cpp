// Evaluates expressions.
#include "tests/support/expr_value.h"

#include <cmath>
#include <functional>

#include "compiler/expr/node.h"

namespace streamattn {
namespace {

std::uint64_t mixed(std::uint64_t a, std::uint64_t b) {
  std::uint64_t x = (a ^ (b * 0x9e3779b97f4a7c15ULL)) + 0x9e3779b97f4a7c15ULL;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
  return x ^ x >> 31;
}

template <class Real>
class Evaluator {
 public:
  using Value = ExprValue<Real>;

  Evaluator(const ExprPlace& place, std::vector<bool>* choices)
      : place_(place), choices_(choices) {}

  Value operator()(const Expr& expr) {
    const ExprNode& node = expr.node();
    switch (node.type) {
      case ExprType::boolean:
        return {.integer = chosen(condition(node)) ? 1 : 0};
      case ExprType::integer:
        return {.integer = integer(node)};
      case ExprType::real:
        return {.real = real(node) + Real(0)};
    }
    return {};
  }

 private:
  bool chosen(bool choice) {
    if (choices_ != nullptr) choices_->push_back(choice);
    return choice;
  }

  std::int64_t i(const Expr& expr) { return (*this)(expr).integer; }
  Real r(const Expr& expr) { return (*this)(expr).real; }

  double named(const ExprNode& node) {
    std::vector<std::int64_t> indices;
    for (const Expr& index : node.operands) indices.push_back(i(index));
    return place_.named(node.name, node.dtype, indices);
  }

  bool condition(const ExprNode& node) {
    const auto& x = node.operands;
    switch (node.op) {
      case ExprOp::constant:
        return node.value != 0;
      case ExprOp::at_most_zero:
        return i(x[0]) <= 0;
      case ExprOp::is_zero:
        return i(x[0]) == 0;
      case ExprOp::is_not_zero:
        return i(x[0]) != 0;
      case ExprOp::less:
        return r(x[0]) < r(x[1]);
      case ExprOp::less_equal:
        return r(x[0]) <= r(x[1]);
      case ExprOp::equal:
        return r(x[0]) == r(x[1]);
      case ExprOp::logical_not:
        return i(x[0]) == 0;
      case ExprOp::logical_and: {
        bool all = true;
        for (const Expr& part : x) all &= i(part) != 0;
        return all;
      }
      case ExprOp::logical_or: {
        bool any = false;
        for (const Expr& part : x) any |= i(part) != 0;
        return any;
      }
      case ExprOp::bit:
        return (i(x[0]) >> (i(x[1]) & 31) & 1) != 0;
      default:
        throw std::logic_error("no condition");
    }
  }

  std::int64_t integer(const ExprNode& node) {
    const auto& x = node.operands;
    switch (node.op) {
      case ExprOp::constant:
        return node.value;
      case ExprOp::variable:
        return place_.variable(node.variable);
      case ExprOp::scalar:
      case ExprOp::element:
        return static_cast<std::int64_t>(named(node));
      case ExprOp::sum: {
        std::int64_t sum = node.value;
        for (std::size_t n = 0; n < x.size(); n++)
          sum = checked_sum(sum, checked_product(node.coefficients[n], i(x[n])));
        return sum;
      }
      case ExprOp::multiply:
        return checked_product(i(x[0]), i(x[1]));
      case ExprOp::floor_divide: {
        const std::int64_t a = i(x[0]), b = i(x[1]);
        return a >= 0 ? a / b : -1 - (-1 - a) / b;
      }
      case ExprOp::modulo: {
        const std::int64_t a = i(x[0]), b = i(x[1]);
        return a >= 0 ? a % b : b - 1 - (-1 - a) % b;
      }
      case ExprOp::minimum:
        return std::min(i(x[0]), i(x[1]));
      case ExprOp::maximum:
        return std::max(i(x[0]), i(x[1]));
      case ExprOp::absolute:
        return std::abs(i(x[0]));
      case ExprOp::select:
        return i(x[0]) != 0 ? i(x[1]) : i(x[2]);
      default:
        throw std::logic_error("no integer");
    }
  }

  Real real(const ExprNode& node) {
    const auto& x = node.operands;
    switch (node.op) {
      case ExprOp::constant:
        return static_cast<Real>(node.real);
      case ExprOp::variable:
        return static_cast<Real>(place_.score);
      case ExprOp::scalar:
      case ExprOp::element:
        return static_cast<Real>(named(node));
      case ExprOp::to_real:
        return static_cast<Real>(i(x[0]));
      case ExprOp::add:
        return r(x[0]) + r(x[1]);
      case ExprOp::subtract:
        return r(x[0]) - r(x[1]);
      case ExprOp::multiply:
        return r(x[0]) * r(x[1]);
      case ExprOp::divide:
        return r(x[0]) / r(x[1]);
      case ExprOp::negate:
        return -r(x[0]);
      case ExprOp::minimum:
      case ExprOp::maximum: {
        const Real a = r(x[0]), b = r(x[1]);
        chosen(a < b);
        return node.op == ExprOp::minimum ? std::fmin(a, b) : std::fmax(a, b);
      }
      case ExprOp::absolute: {
        const Real a = r(x[0]);
        chosen(a < 0);
        return std::fabs(a);
      }
      case ExprOp::select:
        return i(x[0]) != 0 ? r(x[1]) : r(x[2]);
      case ExprOp::exp:
        return std::exp(r(x[0]));
      case ExprOp::log:
        return std::log(r(x[0]));
      case ExprOp::tanh:
        return std::tanh(r(x[0]));
      case ExprOp::sqrt:
        return std::sqrt(r(x[0]));
      default:
        throw std::logic_error("no real");
    }
  }

  const ExprPlace& place_;
  std::vector<bool>* choices_;
};

}  // namespace

ExprPlace ExprPlace::random(std::mt19937_64& random) {
  const auto between = [&](std::int64_t first, std::int64_t last) {
    return std::uniform_int_distribution<std::int64_t>(first, last)(random);
  };
  ExprPlace place;
  const auto set = [&](Variable which, std::int64_t value) {
    place.variables[static_cast<int>(which)] = value;
  };
  const bool is_far = between(0, 9) == 0;
  for (const Variable position : {Variable::q, Variable::k, Variable::q_first, Variable::q_end,
                                  Variable::k_first, Variable::k_end})
    set(position, is_far ? between(-1000000, 1000000) : between(-20, 60));
  set(Variable::batch, between(0, 3));
  set(Variable::head, between(0, 7));
  set(Variable::kv_head, place.variable(Variable::head) / 2);
  set(Variable::q_len, between(1, 64));
  set(Variable::kv_len, between(1, 64));
  place.score = static_cast<double>(between(-400, 400)) / 64;
  place.seed = random();
  return place;
}

double ExprPlace::named(const std::string& name, DType dtype,
                        const std::vector<std::int64_t>& indices) const {
  std::uint64_t bits = mixed(seed, std::hash<std::string>()(name));
  for (const std::int64_t index : indices) bits = mixed(bits, static_cast<std::uint64_t>(index));
  if (is_real(dtype)) return static_cast<double>(bits % 33) / 8 - 2;
  if (indices.empty()) return static_cast<double>(1 + bits % 16);
  return dtype == DType::u8 ? static_cast<double>(bits % 8) : static_cast<double>(bits % 16) - 8;
}

std::int64_t checked_sum(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) throw IntegerOverflow();
  return sum;
}

std::int64_t checked_product(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) throw IntegerOverflow();
  return product;
}

template <class Real>
ExprValue<Real> value_of(const Expr& expr, const ExprPlace& place, std::vector<bool>* choices) {
  return Evaluator<Real>(place, choices)(expr);
}

template ExprValue<float> value_of(const Expr&, const ExprPlace&, std::vector<bool>*);
template ExprValue<double> value_of(const Expr&, const ExprPlace&, std::vector<bool>*);

}  // namespace streamattn
