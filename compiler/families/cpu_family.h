// What families of the host CPU have in common: their kernels are part of the library.
#pragma once

#include "compiler/families/one_schedule.h"

namespace streamattn {

/// The family with the knobs of Settings, whose defaults are its one schedule.
template <class Settings>
Family cpu_family(Operation operation, decltype(Family::declines) declines,
                  decltype(Family::refuses) refuses, decltype(Family::walk) walk = nullptr) {
  return {.name = Settings::family,
          .operation = operation,
          .knobs = &knob_table<Settings>(),
          .misses = [](const Target& target) -> std::string {
            return target.is_cpu() ? "" : std::string(target.name) + " is a GPU";
          },
          .declines = declines,
          .refuses = refuses,
          .first_guess = default_guess<Settings>,
          .schedules = default_schedules<Settings>,
          .estimate = nullptr,
          .launch_choices = nullptr,
          .walk = walk,
          .emit = nullptr,
          .plan = nullptr};
}

/// Of families that cut rows alone: why they do not serve a problem with a tile of `rows`.
inline std::string refuse_tile(int rows) {
  return rows < 1 ? "tile_q " + std::to_string(rows) + " must be positive" : "";
}

}  // namespace streamattn
