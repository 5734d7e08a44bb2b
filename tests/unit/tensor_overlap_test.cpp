// Whether strided tensors share memory, against a count of every byte.
#include "compiler/operations/tensor_overlap.h"

#include <random>
#include <set>
#include <vector>

#include "tests/support/catch.h"

namespace streamattn {
namespace {

Tensor view(std::int64_t first, std::int64_t batch, std::int64_t seq, std::int64_t heads,
            std::int64_t dim, std::int64_t batch_stride, std::int64_t seq_stride,
            std::int64_t head_stride) {
  // An address that nobody reads.
  return {.data = reinterpret_cast<void*>(0x100000 + 2 * first),
          .dtype = DType::bf16,
          .batch = batch,
          .seq = seq,
          .heads = heads,
          .dim = dim,
          .batch_stride = batch_stride,
          .seq_stride = seq_stride,
          .head_stride = head_stride};
}

std::vector<std::int64_t> addresses(const Tensor& t) {
  std::vector<std::int64_t> all;
  for (std::int64_t b = 0; b < t.batch; b++)
    for (std::int64_t s = 0; s < t.seq; s++)
      for (std::int64_t h = 0; h < t.heads; h++)
        for (std::int64_t d = 0; d < t.dim; d++)
          all.push_back(reinterpret_cast<std::intptr_t>(t.data) +
                        2 * (b * t.batch_stride + s * t.seq_stride + h * t.head_stride + d));
  return all;
}

bool really_overlaps_itself(const Tensor& t) {
  const std::vector<std::int64_t> all = addresses(t);
  return std::set(all.begin(), all.end()).size() < all.size();
}

bool really_overlap(const Tensor& a, const Tensor& b) {
  const std::vector<std::int64_t> of_a = addresses(a);
  const std::set<std::int64_t> all(of_a.begin(), of_a.end());
  for (const std::int64_t address : addresses(b))
    if (all.count(address)) return true;
  return false;
}

}  // namespace

TEST_CASE("no overlap is ever missed") {
  std::mt19937 random(3);
  const auto draw = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  const auto any = [&] {
    return view(draw(0, 60), draw(1, 3), draw(1, 4), draw(1, 3), draw(1, 4), draw(-40, 40),
                draw(-12, 20), draw(-8, 8));
  };
  int missed = 0;
  for (int i = 0; i < 20000; i++) {
    const Tensor a = any(), b = any();
    missed += really_overlaps_itself(a) && !Footprint(a).overlaps_itself();
    missed += really_overlap(a, b) && !Footprint(a).overlaps(Footprint(b));
  }
  CHECK(missed == 0);
}

TEST_CASE("the layouts that people use do not overlap") {
  CHECK_FALSE(Footprint(view(0, 2, 10, 4, 8, 320, 32, 8)).overlaps_itself());    // bshd
  CHECK_FALSE(Footprint(view(0, 2, 10, 4, 8, 320, 8, 80)).overlaps_itself());    // bhsd
  CHECK_FALSE(Footprint(view(0, 2, 10, 4, 8, 9, 72, 18)).overlaps_itself());     // sbhd with a gap
  CHECK_FALSE(Footprint(view(99, 2, 10, 4, 8, 320, -32, 8)).overlaps_itself());  // reversed
  CHECK(Footprint(view(0, 2, 10, 4, 8, 320, 31, 8)).overlaps_itself());

  // Packed projections [batch, seq, 3, heads, dim], and a [batch, seq, heads, 3, dim] of them.
  const Tensor q = view(0, 2, 10, 4, 8, 960, 96, 8), v = view(64, 2, 10, 4, 8, 960, 96, 8);
  CHECK_FALSE(Footprint(q).overlaps(Footprint(v)));
  CHECK(Footprint(q).overlaps(Footprint(view(65, 2, 10, 4, 8, 960, 96, 8))));
  CHECK_FALSE(Footprint(view(0, 2, 10, 4, 8, 960, 96, 24))
                  .overlaps(Footprint(view(16, 2, 10, 4, 8, 960, 96, 24))));
  // Tensors one behind the other, and tensors without elements.
  CHECK_FALSE(Footprint(view(0, 1, 10, 4, 8, 0, 32, 8))
                  .overlaps(Footprint(view(320, 1, 10, 4, 8, 0, 32, 8))));
  CHECK(Footprint(view(0, 1, 10, 4, 8, 0, 32, 8))
            .overlaps(Footprint(view(319, 1, 10, 4, 8, 0, 32, 8))));
  CHECK_FALSE(Footprint(q).overlaps(Footprint(view(0, 2, 0, 4, 8, 960, 96, 8))));
}

}  // namespace streamattn
