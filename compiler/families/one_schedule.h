// Answers of families whose settings have good defaults and nothing to choose by shape.
#pragma once

#include <optional>
#include <vector>

#include "compiler/families/family.h"

namespace streamattn {

/// The schedule with the defaults of Settings.
template <class Settings>
std::optional<Schedule> default_guess(const Problem&, const Shape&, const Target&) {
  return to_schedule(Settings{});
}

/// It alone.
template <class Settings>
std::vector<Schedule> default_schedules(const Problem&, const Shape&, const Target&) {
  return {to_schedule(Settings{})};
}

}  // namespace streamattn
