// The knobs of a schedule by name: the single place where they are listed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "streamattn/schedule.h"

namespace streamattn {

/// Calls visit(name, field) for every field, in the order of the struct. A new knob is a new line.
template <class ScheduleRef, class Visitor>
void visit_fields(ScheduleRef& schedule, Visitor&& visit) {
  visit("family", schedule.family);
  visit("tile_q", schedule.tile_q);
  visit("tile_kv", schedule.tile_kv);
  visit("stages", schedule.stages);
  visit("math_warpgroups", schedule.math_warpgroups);
  visit("ping_pong", schedule.ping_pong);
  visit("q_in_registers", schedule.q_in_registers);
  visit("o_buffer", schedule.o_buffer);
  visit("o_passes", schedule.o_passes);
  visit("split_keys", schedule.split_keys);
  visit("softmax", schedule.softmax);
  visit("tile_order", schedule.tile_order);
  visit("section_heads", schedule.section_heads);
}

/// The names of the enumerators, in their order.
std::span<const std::string_view> enumerator_names(Softmax);
std::span<const std::string_view> enumerator_names(TileOrder);

template <class Enum>
std::string_view enumerator_name(Enum value) {
  return enumerator_names(value)[static_cast<std::size_t>(value)];
}

/// A value as TOML or the command line give it.
using FieldValue = std::variant<bool, std::int64_t, std::string>;

/// Sets the field called `name`. Returns what is wrong where there is no such field or the value
/// does not suit it; the schedule is then unchanged.
[[nodiscard]] std::optional<std::string> set_field(Schedule& schedule, std::string_view name,
                                                   const FieldValue& value);

}  // namespace streamattn
