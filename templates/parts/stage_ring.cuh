// A ring of shared-memory stages between one producer and several consumer warps.
#pragma once

#include "ptx/barrier.cuh"

namespace streamattn {

/// Goes round the stages of a ring; gives the stage of the current use and the parity of its phase.
/// It steps, and divides nothing: the stage is wanted where every instruction delays a product.
template <int stages>
struct RingCursor {
  u32 stage = 0, parity = 0;

  SA_DEVICE void advance() {
    bool wraps = ++stage == stages;
    stage = wraps ? 0 : stage;
    parity ^= wraps;
  }
};

/// The barriers of a ring: `full` completes when TMA has written a stage, `empty` when every
/// consumer warp has read it.
template <int stages>
struct StageRing {
  using Cursor = RingCursor<stages>;
  u32 full, empty;  // (stages) mbarriers each, shared

  /// One thread does this for all.
  SA_DEVICE void init(int consumer_warps) const {
    for (int i = 0; i < stages; i++) {
      mbarrier_init(full + 8 * i, 1);
      mbarrier_init(empty + 8 * i, consumer_warps);
    }
  }

  /// Producer: waits for the stage and announces `bytes` to come; returns the barrier for TMA.
  SA_DEVICE u32 acquire(Cursor at, u32 bytes) const {
    mbarrier_wait(empty + 8 * at.stage, at.parity ^ 1);
    mbarrier_arrive_expect(full + 8 * at.stage, bytes);
    return full + 8 * at.stage;
  }

  /// Consumer: waits until the stage is written.
  SA_DEVICE void wait(Cursor at) const { mbarrier_wait(full + 8 * at.stage, at.parity); }

  /// Consumer: one lane of every warp, once the warp's reads are complete.
  SA_DEVICE void release(Cursor at) const { mbarrier_arrive(empty + 8 * at.stage); }
};

}  // namespace streamattn
