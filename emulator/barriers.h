// mbarriers with their phases and transactions, named barriers, and the block's spare registers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "emulator/clock.h"
#include "emulator/shared_memory.h"

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

  /// A TMA load begins that completes here.
  void begin_load(const Access& load) { last_load_ = load; }

  /// The last load, if nobody has waited for its end.
  std::optional<Access> unseen_load() const {
    return last_load_ && last_load_->event > waited_ ? last_load_ : std::nullopt;
  }

  /// An arrival by one who knows `clock`, and `bytes` more to come by TMA. Both return whether that
  /// ends the phase. Throw Violation for more arrivals or bytes than the phase has room for.
  bool arrive(const Clock& clock, unsigned bytes);
  bool complete(int bytes);

  /// "the mbarrier at 90144 (phase 3, 1 of 8 arrivals and 0 bytes missing)".
  std::string describe() const;

  /// Whether one who knows `clock` may use it: the initialisation happened before.
  bool is_initialised_for(const Clock& clock) const {
    return clock.seen.of(init_.actor) >= init_.event;
  }

  /// fence_mbarrier_init.
  void show_to_tma() { visible_to_tma_ = true; }
  bool visible_to_tma() const { return visible_to_tma_; }

 private:
  bool end_if_complete();

  unsigned address_;
  unsigned expected_, pending_;  // arrivals
  std::int64_t bytes_ = 0;       // still to come by TMA
  std::uint32_t phase_ = 0;      // how many are complete
  std::uint32_t waited_ = 0;     // how many somebody has waited for
  Actor actor_;
  Access init_;
  bool visible_to_tma_ = false;
  std::optional<Access> last_load_;
  Clock arriving_, released_;
};

/// One named barrier; warps arrive or synchronise as a whole.
struct NamedBarrier {
  int threads = 0;           // that it waits for in this generation
  std::vector<int> waiting;  // warps that synchronise
  std::vector<int> passing;  // warps that only arrived; one may come back to wait
  Site first = {};
  Clock clock;

  int arrivals() const { return static_cast<int>(waiting.size() + passing.size()); }
};

}  // namespace streamattn::emulator
