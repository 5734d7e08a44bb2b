// The 16-bit conversions, against every 16-bit value and the midpoints between them.
#include "support/half.h"

#include <cmath>
#include <limits>

#include "tests/support/catch.h"

namespace streamattn {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// Checks `to` on all values of one sign of a 16-bit format, whose infinity has the bits `inf`, and
/// on the floats around the midpoint of every two neighbours.
template <typename From, typename To>
int wrong_roundings(From from, To to, std::uint16_t inf) {
  int wrong = 0;
  for (const std::uint16_t sign : {0x0000, 0x8000}) {
    for (std::uint16_t bits = 0; bits < inf; ++bits) {
      const std::uint16_t low = sign | bits;
      const std::uint16_t high = sign | (bits + 1);
      const std::uint16_t even = bits % 2 == 0 ? low : high;
      // The largest number rounds up as if the next one were not infinity.
      const float middle = bits + 1 == inf ? from(low) + (from(low) - from(low - 1)) / 2
                                           : from(low) / 2 + from(high) / 2;
      wrong += to(from(low)) != low;
      wrong += to(middle) != even;
      wrong += to(std::nextafter(middle, from(low))) != low;
      wrong += to(std::nextafter(middle, from(high))) != high;
    }
  }
  return wrong;
}

template <typename From, typename To>
void check_special_values(From from, To to, std::uint16_t inf) {
  CHECK(from(inf) == infinity);
  CHECK(from(0x8000 | inf) == -infinity);
  CHECK(to(infinity) == inf);
  CHECK(to(-infinity) == (0x8000 | inf));
  CHECK(to(std::numeric_limits<float>::max()) == inf);
  CHECK(std::signbit(from(0x8000)));
  int lost = 0;
  for (std::uint32_t payload = 1; payload < 0x800000; payload = payload * 3 + 1) {
    lost += !std::isnan(from(to(std::bit_cast<float>(0x7F800000U | payload))));
    lost += !std::isnan(from(to(std::bit_cast<float>(0xFF800000U | payload))));
  }
  CHECK(lost == 0);
  for (std::uint32_t bits = inf + 1; bits < 0x8000; ++bits) {
    lost += !std::isnan(from(static_cast<std::uint16_t>(bits)));
  }
  CHECK(lost == 0);
}

}  // namespace

TEST_CASE("every bf16 and every midpoint rounds to nearest even") {
  CHECK(wrong_roundings(float_from_bf16, bf16_from_float, 0x7F80) == 0);
  CHECK(float_from_bf16(0x3F80) == 1.0F);
  CHECK(float_from_bf16(0xC049) == -3.140625F);
}

TEST_CASE("every f16 and every midpoint rounds to nearest even, denormals included") {
  CHECK(wrong_roundings(float_from_f16, f16_from_float, 0x7C00) == 0);
  CHECK(float_from_f16(0x3C00) == 1.0F);
  CHECK(float_from_f16(0x0001) == 0x1p-24F);
  CHECK(float_from_f16(0x7BFF) == 65504.0F);
}

TEST_CASE("infinities and NaNs of the 16-bit types stay what they are") {
  check_special_values(float_from_bf16, bf16_from_float, 0x7F80);
  check_special_values(float_from_f16, f16_from_float, 0x7C00);
}

TEST_CASE("elements are stored and loaded in their type") {
  for (const DType type : {DType::f16, DType::bf16, DType::f32}) {
    std::uint32_t memory[2] = {};
    store_element(memory, type, 1, 1.0009765625F);  // needs 11 bits
    CHECK(load_element(memory, type, 0) == 0.0F);
    CHECK(load_element(memory, type, 1) == (type == DType::bf16 ? 1.0F : 1.0009765625F));
    CHECK(rounded(type, 1.0009765625F) == load_element(memory, type, 1));
  }
}

TEST_CASE("rounding errs by the unit roundoff at the most, and nearly by as much") {
  for (const DType type : {DType::f16, DType::bf16}) {
    const auto unit = static_cast<float>(unit_roundoff(type));
    CHECK(rounded(type, 1 + unit) == 1);  // ties go to even
    CHECK(rounded(type, 1 + unit * 1.001F) == 1 + 2 * unit);
  }
  CHECK(static_cast<float>(1 + unit_roundoff(DType::f32)) == 1);
  CHECK(static_cast<float>(1 + unit_roundoff(DType::f32) * 1.001) > 1);
}

}  // namespace streamattn
