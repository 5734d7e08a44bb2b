// Products of bf16 matrices by the dot product instructions that CPUs have for them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace streamattn {

/// Left rows and sums come in multiples of this many, zeros where there are fewer; it is also the
/// number of lanes, the width of the right operand.
inline constexpr std::size_t pair_tile = 32;

/// c[i] = c[i] * factor + sum over s of a(i, s) * b[s], where c[i] and factor are rows of
/// `pair_tile` floats. The sum is added up by itself.
struct PairProduct {
  const std::uint16_t* a;  ///< [rows][sums] of bf16, rows `a_step` apart
  std::size_t a_step;
  const float* b;          ///< [sums / 2][lane] of two bf16 each: s even (low half), s odd
  std::size_t rows, sums;  ///< multiples of pair_tile
  const float* factor;     ///< nullptr: what was in c does not count
  float* c;                ///< [rows][lane]; aligned to a vector, as b and factor are
};

using MultiplyPairs = void (*)(const PairProduct&);

/// The fastest way that this CPU has; nullptr where none beats multiplying floats. Denormal
/// operands count as zero.
MultiplyPairs multiply_pairs();

}  // namespace streamattn
