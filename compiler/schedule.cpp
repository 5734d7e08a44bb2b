// Reading and printing schedules by the tables of their families.
#include "streamattn/schedule.h"

#include <llvm/ADT/SmallVector.h>
#include <llvm/ADT/StringExtras.h>
#include <llvm/ADT/StringRef.h>
#include <llvm/ADT/StringSet.h>

#include <algorithm>
#include <limits>

#include "compiler/families/family.h"
#include "compiler/knobs.h"
#include "streamattn/error.h"
#include "support/did_you_mean.h"

namespace streamattn {
namespace {

std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

std::string text_of(const KnobValue& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const std::int64_t* number = std::get_if<std::int64_t>(&value))
    return std::to_string(*number);
  return in_quotes(std::get<std::string>(value));
}

/// What the knob needs.
std::string needs(const Knob& knob) {
  if (knob.is_switch) return "true or false";
  if (knob.choices.empty())
    return "a number in 0.." + std::to_string(std::numeric_limits<int>::max());
  std::string names;
  for (std::string_view name : knob.choices)
    names += (names.empty() ? "" : " or ") + in_quotes(name);
  return names;
}

/// `value` as the knob keeps it; nothing where it does not suit.
std::optional<std::int64_t> encode(const Knob& knob, const KnobValue& value) {
  if (knob.is_switch) {
    const bool* flag = std::get_if<bool>(&value);
    return flag ? std::optional<std::int64_t>(*flag) : std::nullopt;
  }
  if (knob.choices.empty()) {
    const std::int64_t* number = std::get_if<std::int64_t>(&value);
    const bool fits = number && *number >= 0 && *number <= std::numeric_limits<int>::max();
    return fits ? std::optional(*number) : std::nullopt;
  }
  const std::string* text = std::get_if<std::string>(&value);
  const auto found = text ? std::ranges::find(knob.choices, *text) : knob.choices.end();
  if (found == knob.choices.end()) return std::nullopt;
  return found - knob.choices.begin();
}

KnobValue decode(const Knob& knob, std::int64_t value) {
  if (knob.is_switch) return value != 0;
  if (knob.choices.empty()) return value;
  return std::string(knob.choices[static_cast<std::size_t>(value)]);
}

std::span<const Knob> knobs_of(const Schedule& schedule) {
  const KnobTable* table = KnobAccess::table(schedule);
  return table ? std::span<const Knob>(table->knobs) : std::span<const Knob>();
}

/// The knob called `name`; null where there is none.
const Knob* find_knob(const Schedule& schedule, std::string_view name) {
  for (const Knob& knob : knobs_of(schedule))
    if (knob.name == name) return &knob;
  return nullptr;
}

std::string unknown_knob(const Schedule& schedule, std::string_view name) {
  if (schedule.family().empty()) return "there is no family yet that could have " + in_quotes(name);
  std::vector<std::string_view> known;
  for (const Knob& knob : knobs_of(schedule)) known.push_back(knob.name);
  return std::string(schedule.family()) + " has no knob " + in_quotes(name) + ", " +
         did_you_mean(name, known);
}

std::size_t index_of(const Schedule& schedule, const Knob* knob) {
  return static_cast<std::size_t>(knob - knobs_of(schedule).data());
}

KnobValue parse_value(llvm::StringRef text) {
  std::int64_t number = 0;
  if (text == "true" || text == "false") return text == "true";
  if (!text.getAsInteger(10, number)) return number;
  return text.str();
}

}  // namespace

Schedule::Schedule(std::string_view family) : knobs_(find_family(family).knobs) {
  for (const Knob& knob : knobs_->knobs) values_.push_back(knob.initial);
}

std::string_view Schedule::family() const { return knobs_ ? knobs_->family : std::string_view(); }

KnobValue Schedule::get(std::string_view name) const {
  const Knob* knob = find_knob(*this, name);
  if (!knob) throw Error(ErrorCode::invalid_schedule, unknown_knob(*this, name));
  return decode(*knob, values_[index_of(*this, knob)]);
}

Schedule& Schedule::set(std::string_view name, const KnobValue& value) {
  if (const auto complaint = set_knob(*this, name, value))
    throw Error(ErrorCode::invalid_schedule, *complaint);
  return *this;
}

std::string Schedule::describe() const {
  std::string line(family());
  const char* separator = ": ";
  for (const Knob& knob : knobs_of(*this)) {
    const KnobValue value = decode(knob, values_[index_of(*this, &knob)]);
    const std::string* name = std::get_if<std::string>(&value);
    line += separator + std::string(knob.name) + " " + (name ? *name : text_of(value));
    separator = ", ";
  }
  return line;
}

std::optional<std::string> set_knob(Schedule& schedule, std::string_view name,
                                    const KnobValue& value) {
  const Knob* knob = find_knob(schedule, name);
  if (!knob) return unknown_knob(schedule, name);
  const auto encoded = encode(*knob, value);
  if (!encoded) return std::string(name) + " is " + text_of(value) + ", it needs " + needs(*knob);
  KnobAccess::values(schedule)[index_of(schedule, knob)] = *encoded;
  return std::nullopt;
}

Schedule compiled_part(Schedule schedule) {
  for (const Knob& knob : knobs_of(schedule))
    if (knob.use == KnobUse::launch)
      KnobAccess::values(schedule)[index_of(schedule, &knob)] = knob.initial;
  return schedule;
}

std::vector<KnobSetting> knob_values(const Schedule& schedule) {
  std::vector<KnobSetting> values;
  for (const Knob& knob : knobs_of(schedule))
    values.push_back(
        {knob.name, decode(knob, KnobAccess::values(schedule)[index_of(schedule, &knob)])});
  return values;
}

std::vector<KnobSetting> settings_beside_defaults(const Schedule& schedule) {
  std::vector<KnobSetting> settings;
  for (const Knob& knob : knobs_of(schedule)) {
    const std::int64_t value = KnobAccess::values(schedule)[index_of(schedule, &knob)];
    if (value != knob.initial) settings.push_back({knob.name, decode(knob, value)});
  }
  return settings;
}

std::string schedule_fields(const Schedule& schedule) {
  std::string text = "family=" + std::string(schedule.family());
  for (const auto& [knob, value] : settings_beside_defaults(schedule)) {
    const std::string* name = std::get_if<std::string>(&value);
    text += "," + std::string(knob) + "=" + (name ? *name : text_of(value));
  }
  return text;
}

Schedule parse_schedule(std::string_view text, Schedule base) {
  const auto refuse = [&](const std::string& complaint) {
    throw Error(ErrorCode::invalid_config, "schedule " + in_quotes(text) + ": " + complaint);
  };
  llvm::SmallVector<llvm::StringRef> settings;
  llvm::StringRef(text.data(), text.size()).split(settings, ',');
  llvm::StringSet<> seen;
  for (llvm::StringRef setting : settings) {
    if (setting.trim().empty()) continue;
    const auto [key, written] = setting.split('=');
    const llvm::StringRef name = key.trim(), value = written.trim();
    if (!setting.contains('='))
      refuse(in_quotes(setting.trim().str()) + " is not of the form name=value");
    if (!seen.insert(name).second) refuse(name.str() + " is given twice");
    try {
      if (name != "family")
        base.set(name.str(), parse_value(value));
      else if (value.str() != base.family())
        base = Schedule(value.str());
    } catch (const Error& error) {
      refuse(error.what());
    }
  }
  return base;
}

}  // namespace streamattn
