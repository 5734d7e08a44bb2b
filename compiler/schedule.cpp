// Reading and printing schedules, all through visit_fields.
#include "streamattn/schedule.h"

#include <llvm/ADT/SmallVector.h>
#include <llvm/ADT/StringExtras.h>
#include <llvm/ADT/StringRef.h>
#include <llvm/ADT/StringSet.h>

#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "compiler/schedule_fields.h"
#include "streamattn/error.h"
#include "support/did_you_mean.h"

namespace streamattn {
namespace {

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

std::string text_of(const FieldValue& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const std::int64_t* number = std::get_if<std::int64_t>(&value))
    return std::to_string(*number);
  return quoted(std::get<std::string>(value));
}

// One overload per kind of field; each returns what the field needs where the value does not suit.

std::string assign(std::string& field, const FieldValue& value) {
  const std::string* text = std::get_if<std::string>(&value);
  if (!text || text->empty()) return "a name";
  field = *text;
  return {};
}

std::string assign(int& field, const FieldValue& value) {
  constexpr int most = std::numeric_limits<int>::max();
  const std::int64_t* number = std::get_if<std::int64_t>(&value);
  if (!number || *number < 0 || *number > most) return "a number in 0.." + std::to_string(most);
  field = static_cast<int>(*number);
  return {};
}

std::string assign(bool& field, const FieldValue& value) {
  const bool* flag = std::get_if<bool>(&value);
  if (!flag) return "true or false";
  field = *flag;
  return {};
}

template <class Enum>
  requires std::is_enum_v<Enum>
std::string assign(Enum& field, const FieldValue& value) {
  const std::span<const std::string_view> names = enumerator_names(field);
  const std::string* text = std::get_if<std::string>(&value);
  const auto found = text ? std::ranges::find(names, *text) : names.end();
  if (found == names.end()) {
    std::string needed;
    for (std::string_view name : names) needed += (needed.empty() ? "" : " or ") + quoted(name);
    return needed;
  }
  field = static_cast<Enum>(found - names.begin());
  return {};
}

std::string print(const std::string& field) { return field; }
std::string print(int field) { return std::to_string(field); }
std::string print(bool field) { return field ? "true" : "false"; }
template <class Enum>
  requires std::is_enum_v<Enum>
std::string print(Enum field) {
  return std::string(enumerator_name(field));
}

FieldValue parse_value(llvm::StringRef text) {
  std::int64_t number = 0;
  if (text == "true" || text == "false") return text == "true";
  if (!text.getAsInteger(10, number)) return number;
  return text.str();
}

}  // namespace

std::span<const std::string_view> enumerator_names(Softmax) {
  static constexpr std::string_view names[] = {"exact", "stale"};
  return names;
}

std::span<const std::string_view> enumerator_names(TileOrder) {
  static constexpr std::string_view names[] = {"fixed", "dynamic"};
  return names;
}

std::optional<std::string> set_field(Schedule& schedule, std::string_view name,
                                     const FieldValue& value) {
  std::vector<std::string_view> known;
  std::optional<std::string> needed;  // empty text: the field was set
  visit_fields(schedule, [&](std::string_view field_name, auto& field) {
    known.push_back(field_name);
    if (field_name == name) needed = assign(field, value);
  });
  if (!needed) return "unknown schedule field " + quoted(name) + ", " + did_you_mean(name, known);
  if (needed->empty()) return std::nullopt;
  return std::string(name) + " is " + text_of(value) + ", it needs " + *needed;
}

std::string Schedule::describe() const {
  std::string line = family;
  const char* separator = ": ";
  visit_fields(*this, [&](std::string_view name, const auto& field) {
    if (name == "family") return;
    line += separator + std::string(name) + " " + print(field);
    separator = ", ";
  });
  return line;
}

Schedule parse_schedule(std::string_view text, Schedule base) {
  const auto refuse = [&](const std::string& complaint) {
    throw Error(ErrorCode::invalid_config, "schedule " + quoted(text) + ": " + complaint);
  };
  llvm::SmallVector<llvm::StringRef> settings;
  llvm::StringRef(text.data(), text.size()).split(settings, ',');
  llvm::StringSet<> seen;
  for (llvm::StringRef setting : settings) {
    if (setting.trim().empty()) continue;
    const auto [key, value] = setting.split('=');
    const llvm::StringRef name = key.trim();
    if (!setting.contains('='))
      refuse(quoted(setting.trim().str()) + " is not of the form name=value");
    if (!seen.insert(name).second) refuse(name.str() + " is given twice");
    if (auto complaint = set_field(base, name.str(), parse_value(value.trim()))) refuse(*complaint);
  }
  return base;
}

}  // namespace streamattn
