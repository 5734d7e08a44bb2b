// Into how many shares the keys of listed query tiles are cut, by what all of them see.
#pragma once

#include "forward/query_list.cuh"
#include "parts/warp_sums.cuh"
#include "ptx/math.cuh"
#include "ptx/shared.cuh"

namespace streamattn {

/// Whether the keys of the query tiles that a Spec's kernel lists are shared out: where it says so.
template <class Spec>
constexpr bool shares_keys = requires { requires Spec::shares_keys; };

/// The shares of a tile are as many as make none longer than `longest`, which is one of 32 lengths,
/// a lane each: that with which the blocks are done first. They are no later than if all items were
/// as long as the longest, in whole waves, and no later than an equal part of all work with the
/// longest item behind it. Lengths are those of the tile that sees the most, cut into so many that
/// blocks would have up to four items each if all tiles were like it.
template <class Spec>
struct KeyShares {
  static constexpr int warps = Spec::threads / 32;
  // Keys of a share at least, and those that take as long as what it costs beside its own.
  static constexpr int shortest = 256, keys_beside = 128;
  // Items of every block in candidates: eighths of one up to almost four.
  static constexpr int parts_of_wave = 8;

  const KeySharesParams& params;
  int warp, lane;
  int longest = 1;  // key tiles

  /// Shares of a query tile that sees so many key tiles.
  SA_DEVICE int of(int seen) const { return max((seen + longest - 1) / longest, 1); }

  /// Finds the length, by all warps of the block, for the tiles of a QueryLister.
  template <class Lister>
  SA_DEVICE void find(const Lister& lister) {
    int most = 1;
    float sum = 0;  // of tiles seen
    lister.for_each_tile([&](int seen, const SequenceItem&) {
      most = max(most, seen);
      sum += float(max(seen, 0));
    });
    add_up(most, sum);
    if (params.splits > 0) {
      longest = (most + params.splits - 1) / params.splits;
      return;
    }
    float items_of_block = sum > 0 ? params.blocks * float(most) / (sum * params.heads) : 1;
    int cuts = max(int(items_of_block * lane / parts_of_wave + 0.01f), 1);
    longest = max((most + cuts - 1) / cuts, (shortest + Spec::tile_kv - 1) / Spec::tile_kv);
    int places = 0;
    lister.for_each_tile([&](int seen, const SequenceItem&) {
#pragma unroll
      for (int i = 0; i < 32; i++) {
        int other = __shfl_sync(~0u, seen, i);
        places += other < 0 ? 0 : of(other);
      }
    });
    take_best(time_of(places, sum));
  }

 private:
  // The largest and the sum over all lanes of all warps.
  SA_DEVICE void add_up(int& most, float& sum) const {
#pragma unroll
    for (int lanes = 16; lanes > 0; lanes /= 2) most = max(most, __shfl_xor_sync(~0u, most, lanes));
    sum = warp_sum(sum);
    float in_all = 0;
    for_each_warp(make_int4(most, __float_as_int(sum), 0, 0), [&](int4 words) {
      most = max(most, words.x);
      in_all += __int_as_float(words.y);
    });
    sum = in_all;
  }

  // When all blocks are done, in key tiles, with the lane's length; where the list has no room,
  // never.
  SA_DEVICE float time_of(int places, float sum) const {
    constexpr float beside = float(keys_beside) / Spec::tile_kv;
    int in_all = 0;
    for_each_warp(make_int4(places, 0, 0, 0), [&](int4 words) { in_all += words.x; });
    if (in_all > params.places) return infinity;
    int items = in_all * params.heads;
    int waves = (items + params.blocks - 1) / params.blocks;
    float of_longest = longest + beside;
    float in_turns = (sum * params.heads + items * beside) / params.blocks;
    return fminf(waves * of_longest, in_turns + of_longest);
  }

  // That of the lane with the least time, of equal ones the longest.
  SA_DEVICE void take_best(float time) {
#pragma unroll
    for (int lanes = 16; lanes > 0; lanes /= 2) {
      float other_time = __shfl_xor_sync(~0u, time, lanes);
      int other = __shfl_xor_sync(~0u, longest, lanes);
      bool is_better = other_time < time || (other_time == time && other > longest);
      time = is_better ? other_time : time;
      longest = is_better ? other : longest;
    }
  }

  // Calls fold with what the lanes of this one's number have in every warp, in their order.
  template <class Fold>
  SA_DEVICE void for_each_warp(int4 mine, const Fold& fold) const {
    extern __shared__ __align__(16) unsigned char memory[];
    u32 words = shared_address(memory);  // (warps, lanes), 16 bytes each
    store_shared(words + 16 * (32 * warp + lane), mine);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < warps; i++) fold(load_shared(words + 16 * (32 * i + lane)));
    __syncthreads();
  }
};

}  // namespace streamattn
