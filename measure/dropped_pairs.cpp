// Philox, a pair at a time.
#include "measure/dropped_pairs.h"

namespace streamattn {
namespace {

std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }
std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }

}  // namespace

std::array<std::uint32_t, 4> philox4x32(int rounds, std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < rounds; round++) {
    const std::uint64_t first = std::uint64_t{counter[0]} * 0xD2511F53U;
    const std::uint64_t second = std::uint64_t{counter[2]} * 0xCD9E8D57U;
    counter = {high(second) ^ counter[1] ^ key[0], low(second), high(first) ^ counter[3] ^ key[1],
               low(first)};
    key = {key[0] + 0x9E3779B9U, key[1] + 0xBB67AE85U};
  }
  return counter;
}

Pair pair_of(const ForwardCall& call, const CallRow& row, std::int64_t key) {
  const ExprPoint point = point_of(call, row);
  return {point.batch, point.head, point.q, call.k_position + key};
}

int byte_of(const Dropout& dropout, const Pair& pair) {
  constexpr std::uint64_t head_step = 0xC13FA9A902A6328F, batch_step = 0x91E10DA5C79E7B1D;
  const std::uint64_t stream = dropout.offset + static_cast<std::uint64_t>(pair.head) * head_step +
                               static_cast<std::uint64_t>(pair.batch) * batch_step;
  const std::int64_t in_group = ((pair.k % 16) + 16) % 16, group = (pair.k - in_group) / 16;
  const auto words =
      philox4x32(7,
                 {low(static_cast<std::uint64_t>(group)), low(static_cast<std::uint64_t>(pair.q)),
                  low(stream), high(stream)},
                 {low(dropout.seed), high(dropout.seed)});
  // Word by word, two keys of the first eight and two of the last.
  constexpr int word_of[16] = {0, 0, 1, 1, 2, 2, 3, 3, 0, 0, 1, 1, 2, 2, 3, 3};
  constexpr int byte_in_word[16] = {0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3};
  return static_cast<int>(words[word_of[in_group]] >> 8 * byte_in_word[in_group] & 0xFF);
}

}  // namespace streamattn
