// Sums of the gradient of a named tensor: who adds to which element, and in which order.
#pragma once

#include "backward/element_params.h"
#include "backward/sequences.cuh"
#include "parts/expressions.cuh"

namespace streamattn {

/// The query tiles of a block: a share of those whose elements other blocks of its copy do not
/// touch. Blocks are (unit, share), the last one fastest.
template <class Spec>
struct ElementOrder {
  const ElementSumParams& params;
  PairCounts first, part;  // of the unit: where it begins, and how much it has
  long long begin, end;    // of the share, in the order (batch, head, query tile)
  float* sums;             // the copy of the share

  SA_DEVICE explicit ElementOrder(const ElementSumParams& p) : params(p) {
    PairCounts units = Spec::owners.units(p.counts, Spec::group_size);
    part = {p.counts.batches / units.batches, p.counts.heads / units.heads,
            p.counts.q_tiles / units.q_tiles};
    int share = blockIdx.x % p.shares, unit = blockIdx.x / p.shares;
    first = {unit / units.q_tiles / units.heads * part.batches,
             unit / units.q_tiles % units.heads * part.heads, unit % units.q_tiles * part.q_tiles};
    begin = part.all() * share / p.shares;
    end = part.all() * (share + 1) / p.shares;
    sums = (float*)p.copy.data + share * p.elements;
  }

  SA_DEVICE WorkItem item(long long index) const {
    int rest = index / part.q_tiles;
    return {first.q_tiles + int(index % part.q_tiles), first.heads + rest % part.heads,
            first.batches + rest / part.heads, 0};
  }
};

/// Adds to one element. No other thread may do so at the time.
SA_DEVICE void add_to_element(float* sums, long long place, float value) {
  store_global(sums + place, load_global(sums + place) + value);
}

/// Adds the values of a warp's lanes, none of a lane whose value is 0. Those that take one element
/// are added up from the first on, and the first of them adds the sum. Nothing to agree upon where
/// all elements are `distinct`.
template <bool distinct>
SA_DEVICE void add_to_elements(float* sums, long long place, float value) {
  bool adds = value != 0;
  if constexpr (!distinct) {
    int lane = threadIdx.x % 32;
    if (!adds) place = -1 - lane;
    u32 peers = __match_any_sync(~0u, u32(place)) & __match_any_sync(~0u, u32((u64)place >> 32));
    u32 others = peers & ~0u << lane & ~(1u << lane);
    adds = adds && others == (peers & ~(1u << lane));
    float first = value;
#pragma unroll 1
    while (__any_sync(~0u, others != 0)) {
      float other = __shfl_sync(~0u, first, others ? __ffs(others) - 1 : lane);
      if (others) value += other;
      others &= others - 1;
    }
  }
  if (adds) add_to_element(sums, place, value);
  __syncwarp();
}

}  // namespace streamattn
