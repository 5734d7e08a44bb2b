// Which pairs dropout leaves out, by definition: what kernels are checked against.
#pragma once

#include <array>
#include <cstdint>

#include "compiler/operations/forward/call.h"

namespace streamattn {

/// Philox4x32 with some rounds, as Random123 defines it.
std::array<std::uint32_t, 4> philox4x32(int rounds, std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

/// A query of a head and a key, by indices and global positions.
struct Pair {
  std::int64_t batch, head, q, k;
};

/// That of row `row` and of key `key`, a row of call.k.
Pair pair_of(const ForwardCall& call, const CallRow& row, std::int64_t key);

/// The byte that is drawn for a pair.
int byte_of(const Dropout& dropout, const Pair& pair);

inline bool is_kept(const Dropout& dropout, const Pair& pair) {
  return byte_of(dropout, pair) < dropout.kept_of_256();
}

/// What the weight of a pair is multiplied by.
template <typename Real>
Real weight_factor(const Dropout& dropout, const Pair& pair) {
  return is_kept(dropout, pair) ? static_cast<Real>(1 / dropout.keep_probability()) : 0;
}

}  // namespace streamattn
