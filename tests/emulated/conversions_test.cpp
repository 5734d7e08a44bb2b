// Conversions of emulated device code, which is included here as the host compiler sees it.
#include "emulator/ptx/math.cuh"

#include <random>

#include "support/half.h"
#include "tests/support/catch.h"

namespace {

using namespace streamattn;

// Every exponent and sign, and mantissas that are halfway between two elements or next to that.
template <class Check>
void for_floats(const Check& check) {
  std::mt19937 random(7);
  for (std::uint32_t upper = 0; upper < 1U << 19; upper++)
    for (std::uint32_t lower :
         {0U, 1U, 0x0FFFU, 0x1000U, 0x1001U, std::uint32_t(random() & 0x1FFF)})
      check(std::bit_cast<float>(upper << 13 | lower));
}

}  // namespace

TEST_CASE("pack rounds to nearest even, the first value into the lower half") {
  bool equal = true;
  for_floats([&](float x) {
    if (x != x) return;
    equal &= pack(bf16(), x, 1.F) == (bf16_from_float(x) | 0x3F80U << 16);
    equal &= pack(f16(), 1.F, x) == (0x3C00U | std::uint32_t(f16_from_float(x)) << 16);
  });
  CHECK(equal);
}

TEST_CASE("a NaN becomes the NaN that the hardware gives") {
  const float nan = std::bit_cast<float>(0xFFC12345);
  CHECK(pack(bf16(), nan, 0.F) == 0x7FFF);
  CHECK(pack(f16(), nan, 0.F) == 0x7FFF);
}

TEST_CASE("special functions flush denormals to zero") {
  CHECK(exp2_approx(-130.F) == 0.F);
  CHECK(exp2_approx(-INFINITY) == 0.F);
  CHECK(exp2_approx(3.F) == 8.F);
  CHECK(log2_approx(8.F) == 3.F);
  CHECK(log2_approx(1e-40F) == -INFINITY);
  CHECK(reciprocal_approx(4.F) == 0.25F);
  CHECK(reciprocal_approx(0x1p127F) == 0.F);
}
