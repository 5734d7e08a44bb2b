// Vector clocks: what an actor knows to have happened before it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace streamattn::emulator {

/// Index of an actor: a thread, or an asynchronous agent such as the wgmmas of a warp, the bulk
/// stores of a thread, or the loads that complete on an mbarrier. Each counts its own events.
using Actor = std::uint16_t;

/// The last event of every actor that is known to have happened before.
class Knowledge {
 public:
  std::uint32_t of(Actor actor) const { return actor < events_.size() ? events_[actor] : 0; }

  void learn(Actor actor, std::uint32_t event) {
    if (actor >= events_.size()) events_.resize(actor + 1U);
    events_[actor] = std::max(events_[actor], event);
  }

  void learn(const Knowledge& other) {
    if (events_.size() < other.events_.size()) events_.resize(other.events_.size());
    for (std::size_t i = 0; i < other.events_.size(); i++)
      events_[i] = std::max(events_[i], other.events_[i]);
  }

 private:
  std::vector<std::uint32_t> events_;
};

/// What a thread knows, and what of that the asynchronous proxy (TMA, wgmma) sees through it.
struct Clock {
  Knowledge seen, fenced;

  void learn(const Clock& other) {
    seen.learn(other.seen);
    fenced.learn(other.fenced);
  }

  /// Completion of an asynchronous operation, which needs no proxy fence.
  void learn_async(Actor actor, std::uint32_t event) {
    seen.learn(actor, event);
    fenced.learn(actor, event);
  }

  /// fence.proxy.async.
  void fence() { fenced.learn(seen); }
};

}  // namespace streamattn::emulator
