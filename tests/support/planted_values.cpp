// NaN and infinities in V.
#include "tests/support/planted_values.h"

#include <limits>
#include <random>

#include "support/half.h"

namespace streamattn {

void plant_not_finite(ForwardTensors& tensors, int count, std::uint64_t seed) {
  constexpr float values[] = {std::numeric_limits<float>::quiet_NaN(),
                              std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity()};
  std::mt19937_64 random(seed);
  const Tensor v = tensors.v.view();
  const auto draw = [&](std::int64_t n) { return static_cast<std::int64_t>(random() % n); };
  for (int i = 0; i < count; i++) {
    const std::int64_t at = draw(v.batch) * v.batch_stride + draw(v.seq) * v.seq_stride +
                            draw(v.heads) * v.head_stride + draw(v.dim);
    store_element(v.data, v.dtype, at, values[i % 3]);
  }
}

void plant(HostTensor& into, std::int64_t row, std::int64_t column, double value) {
  const Tensor tensor = into.view();
  for (std::int64_t b = 0; b < tensor.batch; b++)
    for (std::int64_t h = 0; h < tensor.heads; h++)
      store_element(
          tensor.data, tensor.dtype,
          b * tensor.batch_stride + row * tensor.seq_stride + h * tensor.head_stride + column,
          static_cast<float>(value));
}

}  // namespace streamattn
