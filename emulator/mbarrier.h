// An mbarrier: its phases and transactions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "emulator/access.h"

namespace streamattn::emulator {

/// One mbarrier (PTX ISA 9.7.13.15). Loads that complete on it are its actor's events: event n + 1
/// is the end of phase n.
class Mbarrier {
 public:
  Mbarrier(unsigned address, unsigned arrivals, Actor actor, const Access& init)
      : address_(address), expected_(arrivals), pending_(arrivals), actor_(actor), init_(init) {}

  Actor actor() const { return actor_; }
  std::uint32_t phase() const { return phase_; }

  /// Whether a wait for the phase of `parity` goes on.
  bool passes(unsigned parity) const { return (phase_ & 1) != parity; }

  /// A wait that passes: what is known from now on.
  const Clock& wait() {
    waited_ = phase_;
    return released_;
  }

  /// A TMA load, or a store by another block, begins that completes here.
  void begin_load(const Access& load) { last_load_ = load; }

  /// Whether the last load was a store by another block.
  bool counts_other_blocks() const {
    return last_load_ && last_load_->kind == AccessKind::store_async;
  }

  /// The last load, if nobody has waited for its end.
  std::optional<Access> unseen_load() const {
    return last_load_ && last_load_->event > waited_ ? last_load_ : std::nullopt;
  }

  /// An arrival by one who knows `clock`, and `bytes` more to come by TMA. Both return whether that
  /// ends the phase. Throw Violation for more arrivals or bytes than the phase has room for, and
  /// for an arrival by one who does not know that the phase before is complete: it may still be.
  bool arrive(const Clock& clock, unsigned bytes);
  bool complete(int bytes);

  /// "the mbarrier at 90144 (phase 3, 1 of 8 arrivals and 0 bytes missing)".
  std::string describe() const;

  /// Whether one who knows `clock` may use it: the initialisation happened before.
  bool is_initialised_for(const Clock& clock) const {
    return clock.seen.of(init_.actor) >= init_.event;
  }

  /// fence_mbarrier_init as event `event` of `actor`: makes what that thread has initialised
  /// visible to TMA, for those who know the event.
  void show_to_tma(Actor actor, std::uint32_t event) {
    if (actor == init_.actor && shown_ == 0) shown_ = event;
  }
  bool is_visible_to_tma_for(const Clock& clock) const {
    return shown_ != 0 && clock.seen.of(init_.actor) >= shown_;
  }

 private:
  bool end_if_complete();

  unsigned address_;
  unsigned expected_, pending_;  // arrivals
  std::int64_t bytes_ = 0;       // still to come by TMA
  std::uint32_t phase_ = 0;      // how many are complete
  std::uint32_t waited_ = 0;     // how many somebody has waited for
  Actor actor_;
  Access init_;
  std::uint32_t shown_ = 0;  // the event of the fence; 0: none yet
  std::optional<Access> last_load_;
  Clock arriving_, released_;
};

}  // namespace streamattn::emulator
