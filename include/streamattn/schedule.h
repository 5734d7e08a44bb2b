// How to compute a problem: a plain value that one TOML row can hold.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "streamattn/export.h"

namespace streamattn {

/// The value of a knob: a switch, a number, or one of some names.
using KnobValue = std::variant<bool, std::int64_t, std::string>;

/// The knobs of a family. Internal.
struct KnobTable;

/// A family and a setting for each of its knobs. What the knobs of a family are is on its page in
/// docs/.
class STREAMATTN_API Schedule {
 public:
  /// Names no family and has no knobs.
  Schedule() = default;

  /// Every knob of `family` at its default. Throws Error (invalid_schedule) that lists the known
  /// families.
  explicit Schedule(std::string_view family);

  /// "flash_wgmma", "cpu_tiled"; empty if none.
  std::string_view family() const;

  /// Throw Error (invalid_schedule) for a knob that the family does not have, and for a value that
  /// does not suit it.
  KnobValue get(std::string_view knob) const;
  Schedule& set(std::string_view knob, const KnobValue& value);

  /// One line, canonical, every knob: "flash_wgmma: tile_q 128, tile_kv 176, ...".
  std::string describe() const;

  friend bool operator==(const Schedule&, const Schedule&) = default;

 private:
  friend struct KnobAccess;

  const KnobTable* knobs_ = nullptr;
  std::vector<std::int64_t> values_;  // in the order of the table
};

/// `base` with the settings of `text`: "tile_kv=176, softmax=stale". "family=cpu_tiled" begins anew
/// with that family's defaults. Throws Error (invalid_config) for an unknown knob or a value that
/// does not suit it.
STREAMATTN_API Schedule parse_schedule(std::string_view text, Schedule base = {});

}  // namespace streamattn
