// What happens by itself: asynchronous copies that are under way.
#pragma once

#include <functional>
#include <vector>

#include "emulator/scheduler.h"

namespace streamattn::emulator {

class Background {
 public:
  /// The seed draws how long events stay away: some slices, more, or as a rule until no thread can
  /// go on.
  explicit Background(Scheduler& scheduler) : scheduler_(scheduler), patience_(patience()) {}

  void add(std::function<void()> event) { events_.push_back(std::move(event)); }

  bool empty() const { return events_.empty(); }

  /// Whether one of the events is to happen before threads go on.
  bool is_due() const {
    return !empty() && (!scheduler_.can_run() || scheduler_.draw(patience_) == 0);
  }

  /// One of the events happens, any of them.
  void happen() {
    auto drawn = events_.begin() + scheduler_.draw(static_cast<unsigned>(events_.size()));
    const std::function<void()> event = std::move(*drawn);
    events_.erase(drawn);
    scheduler_.progress();
    event();
  }

 private:
  unsigned patience() const {
    constexpr unsigned slices[] = {4, 32, 1024};
    return slices[scheduler_.draw(std::size(slices))];
  }

  Scheduler& scheduler_;
  unsigned patience_;  // slices in which an event happens, on average
  std::vector<std::function<void()>> events_;
};

}  // namespace streamattn::emulator
