// Draws rotations.
#include "tests/support/random_append.h"

#include <random>

namespace streamattn {

AppendCase random_append(const SequenceDraw& draw, int columns, std::uint64_t problem,
                         std::uint64_t seed) {
  AppendCase given{.forward = random_sequences(draw, problem, seed)};
  std::mt19937_64 random(seed);
  const auto from = [&](int first, int last) {
    return std::uniform_int_distribution<int>(first, last)(random);
  };
  given.rope.style = static_cast<RopeStyle>(from(0, 2));
  given.with_queries = from(0, 1) == 1;
  const int most = given.forward.problem.head_dim / columns;
  if (given.rope.style == RopeStyle::none || most == 0) {
    given.rope = {};
    return given;
  }
  given.rope.dim = columns * from(1, most);
  given.rope.theta = from(0, 1) == 1 ? 1e4 : 5e5;
  given.rope.factor = from(0, 1) == 1 ? 1 : 8;
  given.with_tables = from(0, 2) == 0;
  return given;
}

}  // namespace streamattn
