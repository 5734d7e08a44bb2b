// Philox on the host, and what its bytes mean.
//
// After Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).
#include "compiler/operations/forward/dropout.h"

#include <algorithm>
#include <array>

namespace streamattn {
namespace {

constexpr int keys_of_evaluation = 16, rounds = 7;

using Words = std::array<std::uint32_t, 4>;

Words philox(Words counter, std::uint64_t key) {
  auto low = static_cast<std::uint32_t>(key), high = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < rounds; round++) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ low, static_cast<std::uint32_t>(b),
        static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ high, static_cast<std::uint32_t>(a)};
    low += 0x9E3779B9;
    high += 0xBB67AE85;
  }
  return counter;
}

/// What offset, head and batch entry of a call make of half a counter: odd steps, multiples of
/// which do not come near each other for as many heads and entries as there are.
std::uint64_t stream_of(std::uint64_t offset, std::int64_t head, std::int64_t batch) {
  return offset + std::uint64_t{0xC13FA9A902A6328F} * static_cast<std::uint64_t>(head) +
         std::uint64_t{0x91E10DA5C79E7B1D} * static_cast<std::uint64_t>(batch);
}

/// Of key `i` of an evaluation: in the order in which the lanes of a matrix instruction hold keys.
int byte_of(const Words& words, int i) {
  const int byte = 2 * (i / 8) + i % 2;
  return static_cast<int>(words[i % 8 / 2] >> 8 * byte & 0xFF);
}

}  // namespace

void KeptWeights::find(const CallRow& row, std::int64_t first, std::int64_t count,
                       std::uint8_t* to) const {
  const ExprPoint point = point_of(call_, row);
  const std::uint64_t stream = stream_of(call_.dropout.offset, point.head, point.batch);
  const int kept = call_.dropout.kept_of_256();
  const std::int64_t begin = call_.k_position + first, end = begin + count;
  for (std::int64_t k = begin; k < end;) {
    const std::int64_t group = k >> 4, group_end = std::min((group + 1) * keys_of_evaluation, end);
    const Words words =
        philox({static_cast<std::uint32_t>(group), static_cast<std::uint32_t>(point.q),
                static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)},
               call_.dropout.seed);
    for (; k < group_end; k++)
      *to++ = byte_of(words, static_cast<int>(k - group * keys_of_evaluation)) < kept ? 1 : 0;
  }
}

}  // namespace streamattn
