// A ring of shared-memory stages between one producer and several consumer warps.
#pragma once

#include "ptx/barrier.cuh"
#include "ptx/shared.cuh"

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

/// The barriers of a ring: `full` completes when the producer has arrived as often as it said and
/// TMA has written what it announced, `empty` when every consumer warp has read the stage.
template <int stages>
struct StageRing {
  using Cursor = RingCursor<stages>;
  u32 full, empty;  // (stages) mbarriers each, shared

  /// One thread does this for all.
  SA_DEVICE void init(int consumer_warps, int producer_arrivals = 1) const {
    for (int i = 0; i < stages; i++) {
      mbarrier_init(full + 8 * i, producer_arrivals);
      mbarrier_init(empty + 8 * i, consumer_warps);
    }
  }

  /// Producer: waits for the stage and announces `bytes` to come; returns the barrier for TMA.
  SA_DEVICE u32 acquire(Cursor at, u32 bytes) const {
    wait_empty(at);
    mbarrier_arrive_expect(full_of(at.stage), bytes);
    return full_of(at.stage);
  }
  SA_DEVICE void wait_empty(Cursor at) const { mbarrier_wait(empty_of(at.stage), at.parity ^ 1); }
  SA_DEVICE u32 full_of(u32 stage) const { return full + 8 * stage; }
  SA_DEVICE u32 empty_of(u32 stage) const { return empty + 8 * stage; }

  /// Consumer: waits until the stage is written.
  SA_DEVICE void wait(Cursor at) const { mbarrier_wait(full_of(at.stage), at.parity); }

  /// Consumer: one lane of every warp, once the warp's reads are complete.
  SA_DEVICE void release(Cursor at) const { mbarrier_arrive(empty_of(at.stage)); }
};

/// Stages that TMA fills for one warp, which hands them on, in their order. It has places for all
/// that can be on their way and the end: one is free again when the stage that was in it is.
template <int places>
struct StageQueue {
  using Cursor = RingCursor<places>;
  u32 notes,
      landed;  // (places) notes, 16 bytes each, the first word a stage, and mbarriers, shared

  SA_DEVICE void init() const {
    for (int i = 0; i < places; i++) mbarrier_init(landed + 8 * i, 1);
  }

  /// Producer: announces `bytes` to come for a stage; returns the barrier for TMA.
  SA_DEVICE u32 push(u32 place, int4 note, u32 bytes) const {
    store_shared(notes + 16 * place, note);
    mbarrier_arrive_expect(landed + 8 * place, bytes);
    return landed + 8 * place;
  }
  SA_DEVICE void end(u32 place) const {
    store_shared(notes + 16 * place, make_int4(-1, 0, 0, 0));
    mbarrier_arrive(landed + 8 * place);
  }

  /// The note of the next stage, once that is written; a stage below 0 is the end.
  SA_DEVICE int4 wait(Cursor at) const {
    mbarrier_wait(landed + 8 * at.stage, at.parity);
    return note(at);
  }
  SA_DEVICE int4 note(Cursor at) const { return load_shared(notes + 16 * at.stage); }
};

}  // namespace streamattn
