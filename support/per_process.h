// State that a forked child does not share with its parent.
#pragma once

#include <atomic>
#include <memory>

namespace streamattn {

/// How often the line of processes that leads here has forked, counted from the first call. Takes
/// no lock.
unsigned fork_count();

/// One T for each process: made when it is first asked for, and made anew in a forked child. The
/// parent's cannot be used there, as it may be locked or half changed by a thread that the child
/// does not have; it is left where it is. So no fork, whatever other threads are doing, leaves a
/// child that waits for ever. Needs no dynamic initialisation.
template <class T>
class PerProcess {
 public:
  constexpr PerProcess() = default;
  PerProcess(const PerProcess&) = delete;
  PerProcess& operator=(const PerProcess&) = delete;

  ~PerProcess() {
    const Place* place = place_;
    if (place && place->fork_count == fork_count()) delete place;
  }

  /// Thread-safe as far as T's constructor is; of two that are made at the same time one is dropped
  /// unused.
  T& get() {
    const unsigned now = fork_count();
    Place* place = place_.load(std::memory_order_acquire);
    while (!place || place->fork_count != now) {
      auto fresh = std::make_unique<Place>(now, place);
      if (place_.compare_exchange_strong(place, fresh.get(), std::memory_order_acq_rel)) {
        return fresh.release()->value;
      }
    }
    return place->value;
  }

 private:
  struct Place {
    Place(unsigned now, const Place* before) : fork_count(now), inherited(before) {}
    const unsigned fork_count;
    const Place* const inherited;  // so that leak checkers find it
    T value;
  };

  std::atomic<Place*> place_ = nullptr;
};

}  // namespace streamattn
