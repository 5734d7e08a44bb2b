// Dropout: which attention weights a launch leaves out.
#pragma once

#include <cstdint>

namespace streamattn {

/// Which weights a launch of a problem with dropout leaves out. Every pair of a query and a key is
/// kept with the same probability, keep_probability(), and what is kept is divided by it, so that O
/// stays the same on average. LSE and the sum that weights are divided by are those without
/// dropout.
///
/// Whether a pair is kept follows from the values here, from the indices of the batch entry and of
/// the query head in the call, and from the global positions of query and key, modulo 2^32 and
/// 2^36: from no schedule, no sub-range and no device. A backward launch needs the values of the
/// forward launch that it belongs to.
struct Dropout {
  float rate = 0;            ///< in [0, 1); rounded down so that a whole number of 256 are kept
  std::uint64_t seed = 0;    ///< of all launches of a program, say
  std::uint64_t offset = 0;  ///< of a launch: another one for every layer and every step

  /// How many of 256 are kept: 256 for a rate of 0, at least 1.
  int kept_of_256() const { return 1 + static_cast<int>(255 * (1 - static_cast<double>(rate))); }
  double keep_probability() const { return kept_of_256() / 256.0; }
};

}  // namespace streamattn
