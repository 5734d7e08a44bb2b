// Weighs the rows of shares and adds them up.
#include "runtime/cpu/merge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <vector>

#include "runtime/cpu/threads.h"
#include "streamattn/error.h"
#include "support/half.h"

namespace streamattn {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// A row of a head.
struct Row {
  std::int64_t batch, seq, head;

  std::int64_t offset(const Tensor& of) const {
    return batch * of.batch_stride + seq * of.seq_stride + head * of.head_stride;
  }
};

/// Shares are added in their order. `sum` has a place for each column. -inf - -inf is never
/// computed.
void merge_row(const MergeCall& call, const Row& row, std::vector<float>& sum) {
  const std::int64_t shares = call.shares();
  const auto share = [&](std::int64_t s) {
    return Row{s * call.o.batch + row.batch, row.seq, row.head};
  };
  const auto lse_of = [&](std::int64_t s) {
    return load_element(call.share_lse.data, DType::f32, share(s).offset(call.share_lse));
  };
  float largest = -infinity;
  for (std::int64_t s = 0; s < shares; s++) largest = std::max(largest, lse_of(s));
  std::ranges::fill(sum, 0);
  float total = 0;
  for (std::int64_t s = 0; s < shares; s++) {
    const float lse = lse_of(s);
    if (lse == -infinity) continue;
    const float weight = std::exp(lse - largest);
    const std::int64_t first = share(s).offset(call.share_o);
    total += weight;
    for (std::size_t c = 0; c < sum.size(); c++)
      sum[c] += weight * load_element(call.share_o.data, call.share_o.dtype,
                                      first + static_cast<std::int64_t>(c));
  }
  const std::int64_t first = row.offset(call.o);
  for (std::size_t c = 0; c < sum.size(); c++)
    store_element(call.o.data, call.o.dtype, first + static_cast<std::int64_t>(c),
                  total == 0 ? 0 : sum[c] / total);
  if (call.lse.data != nullptr)
    store_element(call.lse.data, DType::f32, row.offset(call.lse),
                  total == 0 ? -infinity : largest + std::log(total));
}

}  // namespace

void cpu_merge(int tile_q, const MergeCall& call) try {
  const std::int64_t rows = call.rows();
  parallel_for((rows + tile_q - 1) / tile_q, call.max_sms, [&](std::int64_t tile) {
    std::vector<float> sum(call.o.dim);
    for (std::int64_t i = tile * tile_q; i < std::min((tile + 1) * tile_q, rows); i++)
      merge_row(call,
                {i / call.o.heads / call.o.seq, i / call.o.heads % call.o.seq, i % call.o.heads},
                sum);
  });
} catch (const std::bad_alloc&) {
  throw Error(ErrorCode::launch_failed,
              "the system has no memory for a row on each thread; part of the rows may be written");
}

}  // namespace streamattn
