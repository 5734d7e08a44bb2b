// Dropout: which weights of pairs of queries and keys are left out.
//
// Philox4x32 with 7 rounds, after Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
// as 1, 2, 3" (2011). docs/dropout.md says what its bytes mean.
#pragma once

#include "params.h"
#include "ptx/warpgroup.cuh"

namespace streamattn {

/// Whether the kernel of a Spec drops weights: where it says so.
template <class Spec>
constexpr bool drops = requires { requires Spec::drops; };

/// Random bytes of one head of a batch entry.
struct DropoutBytes {
  const DropoutParams& params;
  u64 stream;

  SA_DEVICE DropoutBytes(const DropoutParams& params, int batch, int head)
      : params(params),
        stream(params.offset + 0xC13FA9A902A6328F * head + 0x91E10DA5C79E7B1D * batch) {}

  /// Those of query q and of 16 keys that follow each other, `group` being the position of the
  /// first divided by 16: word w has those of keys 2 w, 2 w + 1, 2 w + 8 and 2 w + 9.
  SA_DEVICE void draw(int q, int group, u32 (&words)[4]) const {
    words[0] = group, words[1] = q, words[2] = u32(stream), words[3] = u32(stream >> 32);
    u64 key = params.seed;
    pin(key);  // else the keys of all rounds are kept over loops, in registers that then lack
    u32 low = u32(key), high = u32(key >> 32);
#pragma unroll
    for (int round = 0; round < 7; round++) {
      u64 a = u64(0xD2511F53) * words[0], b = u64(0xCD9E8D57) * words[2];
      words[0] = u32(b >> 32) ^ words[1] ^ low;
      words[1] = u32(b);
      words[2] = u32(a >> 32) ^ words[3] ^ high;
      words[3] = u32(a);
      low += 0x9E3779B9;
      high += 0xBB67AE85;
    }
  }

  /// In the highest bit of each byte, and elsewhere anything: whether it drops its pair.
  SA_DEVICE u32 dropped(u32 bytes) const {
    u32 above = (bytes & 0x7F7F7F7F) + params.addend;
    return (bytes & above) | ((bytes | above) & ~params.half);
  }

  /// Whether query q drops key k.
  SA_DEVICE bool drops_pair(int q, int k) const {
    u32 words[4];
    draw(q, k >> 4, words);
    u32 word = k & 4 ? (k & 2 ? words[3] : words[2]) : (k & 2 ? words[1] : words[0]);
    return dropped(word) >> ((k & 8 ? 23 : 7) + 8 * (k & 1)) & 1;
  }
};

/// Four lanes that differ in the bits `lanes` and 2 `lanes` hand their words to each other: each is
/// left with those words of all that have the number that these bits of its index are. Slot i has
/// that of the lane whose two bits differ from its own by i.
template <int lanes>
SA_DEVICE void share_words(u32 (&words)[4]) {
#pragma unroll
  for (int bit = 2; bit > 0; bit /= 2) {
    bool is_upper = threadIdx.x & bit * lanes;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (i & bit) continue;
      u32 sent = is_upper ? words[i] : words[i + bit];
      words[i] = is_upper ? words[i + bit] : words[i];
      words[i + bit] = __shfl_xor_sync(~0u, sent, bit * lanes);
    }
  }
}

/// Swaps bits that are `distance` apart, `lower` being the lower ones of each two.
SA_DEVICE u32 swap_bits(u32 bits, int distance, u32 lower) {
  return (bits & lower) << distance | (bits >> distance & lower);
}

/// What lanes that share words drop by them: the words that lane n of them drew first decide bits
/// 8 b + n, b being the byte, those that it drew then bits 8 b + 4 + n. `draw(second, words)`
/// draws.
template <int lanes, int draws, class Draw>
SA_DEVICE u32 shared_dropped(const DropoutBytes& bytes, Draw draw) {
  u32 bits = 0;
#pragma unroll
  for (int second = 0; second < draws; second++) {
    u32 words[4];
    draw(second, words);
    share_words<lanes>(words);
#pragma unroll
    for (int i = 0; i < 4; i++)
      bits |= (bytes.dropped(words[i]) & 0x80808080) >> (7 - 4 * second - i);
  }
  bits = threadIdx.x & lanes ? swap_bits(bits, 1, 0x55555555) : bits;
  return threadIdx.x & 2 * lanes ? swap_bits(bits, 2, 0x33333333) : bits;
}

/// Of the transposed fragments of a warp, (16 keys, 64 queries): which of the thread's elements are
/// dropped, as of(i) says for element i. Keys begin at `k`, queries at `q`.
struct DroppedColumns {
  u32 bits;

  DroppedColumns() = default;
  SA_DEVICE DroppedColumns(const DropoutBytes& bytes, int q, int k, int lane) {
    int column = q + 2 * (lane % 4), row = lane / 4;
    if (k % 16 == 0) {
      // Lanes of a column draw for two queries of eight each. Those whose rows are even, and odd
      // ones, share words; then each learns what the one beside it has, of its own bytes.
      u32 mine = shared_dropped<8, 2>(bytes, [&](int second, u32(&words)[4]) {
        bytes.draw(column + 8 * row + second, k >> 4, words);
      });
      u32 other = __shfl_xor_sync(~0u, mine, 4);
      u32 even = row & 1 ? other : mine, odd = row & 1 ? mine : other;
      int byte = 8 * (row & 1);
      bits = (even >> byte & 0x00FF00FF) | (odd >> byte & 0x00FF00FF) << 8;
    } else {
      bits = 0;
#pragma unroll 1
      for (int i = 0; i < 32; i++) {
        int eight = 2 * (i % 4) + i / 8 % 2;
        bool drop = bytes.drops_pair(column + 8 * eight + i / 4 % 2, k + row + i / 16 * 8);
        bits |= u32(drop) << i;
      }
    }
  }

  /// Element 4 e + 2 r + p is of row r and of column p in the e-th eight.
  SA_DEVICE bool of(int i) const {
    return bits >> (8 * (i & 2) + 8 * (i / 4 & 1) + 4 * (i & 1) + i / 8) & 1;
  }
};

}  // namespace streamattn
