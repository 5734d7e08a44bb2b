// Styles by name, and angles as fractions of a turn.
#include "compiler/operations/append/rope.h"

#include <cmath>
#include <numbers>

#include "compiler/enum_names.h"

namespace streamattn {
namespace {

// In the order of the enumerators, which index it.
constexpr std::string_view names[] = {"none", "interleaved", "split_half"};

}  // namespace

std::string_view name(RopeStyle style) { return names[static_cast<int>(style)]; }

RopeStyle parse_rope_style(std::string_view text) {
  return parse_enumerator<RopeStyle>("rope style", names, text);
}

// In long double, which has 64 bits: products instead of powers, as every launch does this.
RopeSteps rope_steps(const Rope& rope, std::int64_t dim) {
  const long double ratio =
      std::pow(static_cast<long double>(rope.theta), -2.0L / static_cast<long double>(dim));
  long double turns = 0.5L / (std::numbers::pi_v<long double> * rope.factor);
  RopeSteps steps;
  for (std::int64_t i = 0; i < dim / 2; i++, turns *= ratio) {
    const long double fraction = turns - std::floor(turns);
    const long double scaled = std::nearbyint(std::ldexp(fraction, 64));
    steps.push_back(scaled < 0x1p64L ? static_cast<std::uint64_t>(scaled) : 0);
  }
  return steps;
}

double rope_angle(std::uint64_t step, std::int64_t position) {
  const auto turns = static_cast<std::int64_t>(step * static_cast<std::uint64_t>(position));
  return static_cast<double>(turns) * 0x1p-63 * std::numbers::pi;
}

}  // namespace streamattn
