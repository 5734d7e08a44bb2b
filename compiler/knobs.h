// Knobs: how a family's struct of settings becomes a Schedule and back.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "streamattn/schedule.h"

namespace streamattn {

/// What a knob decides: the text of a kernel, or only how it is launched. Schedules that differ in
/// the latter alone have one binary.
enum class KnobUse { compiled, launch };

/// One knob of a family.
struct Knob {
  std::string_view name;
  KnobUse use;
  bool is_switch;
  std::span<const std::string_view> choices;  ///< names of the values; empty: a number or a switch
  std::int64_t initial;
};

struct KnobTable {
  std::string_view family;
  std::vector<Knob> knobs;
};

/// Sets the knob called `name`. Returns what is wrong where there is no such knob or the value does
/// not suit it; the schedule is then unchanged.
[[nodiscard]] std::optional<std::string> set_knob(Schedule& schedule, std::string_view name,
                                                  const KnobValue& value);

/// `schedule` with everything that only steers a launch at its default.
Schedule compiled_part(Schedule schedule);

/// A knob of a schedule that is not at its default.
struct KnobSetting {
  std::string_view name;
  KnobValue value;
};

/// The value of every knob, in the order of the family's table.
std::vector<KnobSetting> knob_values(const Schedule& schedule);

/// The settings that make a schedule what it is, in the order of the family's table.
std::vector<KnobSetting> settings_beside_defaults(const Schedule& schedule);

/// What parse_schedule() reads as `schedule`: "family=flash_wgmma,tile_q=128,tile_kv=176".
std::string schedule_fields(const Schedule& schedule);

// A family keeps its settings in a struct of its own:
//
//   struct Settings {
//     static constexpr std::string_view family = "name";
//     int tile = 64;
//     Order order = Order::fixed;                      // enumerator_names(Order) has the names
//     template <class Self, class Visitor>
//     static void visit(Self& self, Visitor&& visit) { // the one list of its knobs
//       visit("tile", self.tile, KnobUse::compiled);
//       visit("order", self.order, KnobUse::launch);
//     }
//   };

/// The table of a family's struct.
template <class Settings>
const KnobTable& knob_table() {
  static const KnobTable table = [] {
    KnobTable list{Settings::family, {}};
    Settings defaults;
    Settings::visit(defaults, [&](std::string_view name, auto& field, KnobUse use) {
      using Field = std::remove_reference_t<decltype(field)>;
      Knob knob{name, use, std::is_same_v<Field, bool>, {}, static_cast<std::int64_t>(field)};
      if constexpr (std::is_enum_v<Field>) knob.choices = enumerator_names(field);
      list.knobs.push_back(knob);
    });
    return list;
  }();
  return table;
}

/// Schedules as tables and values; for the functions below.
struct KnobAccess {
  static Schedule make(const KnobTable& table, std::vector<std::int64_t> values) {
    Schedule schedule;
    schedule.knobs_ = &table;
    schedule.values_ = std::move(values);
    return schedule;
  }
  static const KnobTable* table(const Schedule& schedule) { return schedule.knobs_; }
  static std::vector<std::int64_t>& values(Schedule& schedule) { return schedule.values_; }
  static const std::vector<std::int64_t>& values(const Schedule& s) { return s.values_; }
};

template <class Settings>
Schedule to_schedule(const Settings& settings) {
  std::vector<std::int64_t> values;
  Settings::visit(settings, [&](std::string_view, const auto& field, KnobUse) {
    values.push_back(static_cast<std::int64_t>(field));
  });
  return KnobAccess::make(knob_table<Settings>(), std::move(values));
}

/// The schedule is one of the family's.
template <class Settings>
Settings settings_of(const Schedule& schedule) {
  Settings settings;
  auto value = KnobAccess::values(schedule).begin();
  Settings::visit(settings, [&](std::string_view, auto& field, KnobUse) {
    field = static_cast<std::remove_reference_t<decltype(field)>>(*value++);
  });
  return settings;
}

}  // namespace streamattn
