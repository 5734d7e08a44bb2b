// The value of an expression, computed node by node: slow, plain, and of nothing but its meaning.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "streamattn/expr.h"

namespace streamattn {

/// What expressions are evaluated on: variables, and for every name a value that follows from it.
struct ExprPlace {
  std::array<std::int64_t, 12> variables = {};  ///< by Variable
  double score = 0;
  std::uint64_t seed = 0;  ///< of scalars and tensors

  /// Positions from -20 to 60, or now and then far from there.
  static ExprPlace random(std::mt19937_64& random);

  std::int64_t variable(Variable which) const { return variables[static_cast<int>(which)]; }

  /// A scalar (no indices) or an element. Integers are small; scalars among them positive, as
  /// divisors must be. Reals are multiples of 1/8 from -2 to 2.
  double named(const std::string& name, DType dtype,
               const std::vector<std::int64_t>& indices) const;
};

/// An integer, or 0 or 1 of a condition, or a real.
template <class Real>
struct ExprValue {
  std::int64_t integer = 0;
  Real real = 0;
};

/// Thrown where an integer leaves 64 bits.
struct IntegerOverflow {};

std::int64_t checked_sum(std::int64_t a, std::int64_t b);
std::int64_t checked_product(std::int64_t a, std::int64_t b);

/// Real is float, as on a device, or double. Zeros have no sign. What is compared and chosen on the
/// way is written to `choices`: of two places with the same ones an expression is one smooth
/// function.
template <class Real>
ExprValue<Real> value_of(const Expr& expr, const ExprPlace& place,
                         std::vector<bool>* choices = nullptr);

}  // namespace streamattn
