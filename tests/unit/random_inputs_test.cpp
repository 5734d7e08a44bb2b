// The generator of inputs: distribution, independence, and that threads do not matter.
#include "measure/random_inputs.h"

#include <cmath>
#include <vector>

#include "support/half.h"
#include "tests/support/catch.h"

namespace streamattn {
namespace {

constexpr int count = 1 << 18;

double moment(const std::vector<float>& values, int power) {
  double sum = 0;
  for (const float value : values) sum += std::pow(value, power);
  return sum / static_cast<double>(values.size());
}

std::vector<float> sequence(std::uint64_t seed, Distribution distribution) {
  std::vector<float> values(count);
  fill_random(values.data(), DType::f32, count, seed, distribution);
  return values;
}

}  // namespace

TEST_CASE("random inputs have the moments of a standard normal distribution") {
  // Bounds are five standard deviations of each estimate.
  const std::vector<float> values = sequence(7, Distribution::normal);
  CHECK(std::abs(moment(values, 1)) < 5 * std::sqrt(1.0 / count));
  CHECK(std::abs(moment(values, 2) - 1) < 5 * std::sqrt(2.0 / count));
  CHECK(std::abs(moment(values, 3)) < 5 * std::sqrt(15.0 / count));
  CHECK(std::abs(moment(values, 4) - 3) < 5 * std::sqrt(96.0 / count));
}

TEST_CASE("neighbouring elements and neighbouring seeds are not correlated") {
  const std::vector<float> a = sequence(8, Distribution::normal);
  const std::vector<float> b = sequence(9, Distribution::normal);
  double neighbours = 0;
  double seeds = 0;
  for (int i = 0; i + 1 < count; ++i) {
    neighbours += a[i] * a[i + 1];
    seeds += a[i] * b[i];
  }
  CHECK(std::abs(neighbours / count) < 5 * std::sqrt(1.0 / count));
  CHECK(std::abs(seeds / count) < 5 * std::sqrt(1.0 / count));
}

TEST_CASE("one entry in a hundred is an outlier, thirty times as large") {
  const std::vector<float> normal = sequence(10, Distribution::normal);
  const std::vector<float> outliers = sequence(10, Distribution::outliers);
  int larger = 0;
  for (int i = 0; i < count; ++i) {
    if (outliers[i] == normal[i]) continue;
    ++larger;
    REQUIRE(outliers[i] == 30 * normal[i]);
  }
  CHECK(std::abs(larger - 0.01 * count) < 5 * std::sqrt(0.0099 * count));
}

TEST_CASE("a filled array holds the elements of the sequence in every type") {
  for (const DType type : {DType::f16, DType::bf16, DType::f32}) {
    constexpr int odd_count = (1 << 17) + 3;
    std::vector<float> memory(odd_count, 99.0F);
    fill_random(memory.data(), type, odd_count - 1, 11, Distribution::outliers);
    int wrong = 0;
    for (int i = 0; i < odd_count - 1; ++i) {
      wrong += load_element(memory.data(), type, i) !=
               rounded(type, random_element(11, i, Distribution::outliers));
    }
    CHECK(wrong == 0);
    CHECK(memory.back() == 99.0F);
  }
}

}  // namespace streamattn
