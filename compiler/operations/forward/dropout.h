// Which weights of a call are kept, on the host.
#pragma once

#include <cstdint>

#include "compiler/operations/forward/call.h"

namespace streamattn {

/// What a launch keeps of the weights of its rows. Random bytes are those of Philox4x32 with 7
/// rounds, keyed by the seed. One evaluation gives a byte to each of 16 keys that follow each
/// other, from a multiple of 16 on; a pair is kept where its byte is below Dropout::kept_of_256().
/// Device code does the same (templates/parts/dropout.cuh).
class KeptWeights {
 public:
  /// Must outlive it.
  explicit KeptWeights(const ForwardCall& call) : call_(call) {}

  /// to[i] = 1 where the row keeps its weight of key `first` + i, a row of call.k, else 0.
  void find(const CallRow& row, std::int64_t first, std::int64_t count, std::uint8_t* to) const;

  /// What the weights that are kept are multiplied by.
  float factor() const { return static_cast<float>(1 / call_.dropout.keep_probability()); }

 private:
  const ForwardCall& call_;
};

}  // namespace streamattn
