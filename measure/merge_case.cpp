// Makes shares, and merges them in float64.
#include "measure/merge_case.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include "measure/units.h"
#include "runtime/cpu/threads.h"
#include "support/half.h"

namespace streamattn {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

std::int64_t offset(const Tensor& t, std::int64_t batch, std::int64_t seq, std::int64_t head) {
  return batch * t.batch_stride + seq * t.seq_stride + head * t.head_stride;
}

double value(const Tensor& t, std::int64_t at) { return load_element(t.data, t.dtype, at); }

Sizes sizes(const MergeCase& given, std::int64_t shares, std::int64_t dim) {
  return {shares * given.forward.shape.batch, given.forward.shape.q_len, given.forward.heads(),
          dim};
}

/// A row in float64, and how far the outputs are from it.
void check_row(const MergeArgs& args, std::int64_t b, std::int64_t s, std::int64_t h,
               MergeAccuracy& found) {
  const std::int64_t shares = args.share_o.batch / args.o.batch;
  std::vector<double> lse(shares);
  double largest = -infinity, largest_size = 1, sum = 0;
  for (std::int64_t i = 0; i < shares; i++) {
    lse[i] = value(args.share_lse, offset(args.share_lse, i * args.o.batch + b, s, h));
    largest = std::max(largest, lse[i]);
    if (std::isfinite(lse[i])) largest_size = std::max(largest_size, std::abs(lse[i]));
  }
  for (const double x : lse) sum += x == -infinity ? 0 : std::exp(x - largest);
  const double merged = sum == 0 ? -infinity : largest + std::log(sum);
  const double found_lse = value(args.lse, offset(args.lse, b, s, h));
  const double lse_error =
      found_lse == merged ? 0 : std::abs(found_lse - merged) / (0x1p-20 * largest_size);
  found.lse = std::max(found.lse, std::isnan(lse_error) ? infinity : lse_error);
  for (std::int64_t c = 0; c < args.o.dim; c++) {
    double exact = 0, size = 0;
    for (std::int64_t i = 0; i < shares; i++) {
      if (lse[i] == -infinity) continue;
      const double x = value(args.share_o, offset(args.share_o, i * args.o.batch + b, s, h) + c);
      exact += std::exp(lse[i] - merged) * x;
      size = std::max(size, std::abs(x));
    }
    const double allowed = half_unit(args.o.dtype, exact) + 0x1p-17 * size;
    const double error = std::abs(value(args.o, offset(args.o, b, s, h) + c) - exact) / allowed;
    found.o = std::max(found.o, std::isnan(error) ? infinity : error);
  }
}

}  // namespace

std::string MergeCase::describe() const {
  return "merge of " + std::to_string(shares) + " shares, " + forward.describe();
}

MergeTensors::MergeTensors(const MergeCase& given)
    : share_o(given.forward.problem.output_dtype(),
              sizes(given, given.shares, given.forward.problem.v_head_dim()), given.forward.layout,
              given.forward.gap),
      share_lse(DType::f32, sizes(given, given.shares, 1), given.forward.layout, given.forward.gap),
      o(given.merged_dtype.value_or(given.forward.problem.output_dtype()),
        sizes(given, 1, given.forward.problem.v_head_dim()), given.forward.layout,
        given.forward.gap),
      lse(DType::f32, sizes(given, 1, 1), given.forward.layout, given.forward.gap),
      max_sms_(given.forward.max_sms) {
  share_o.fill(2 * given.forward.seed, given.forward.distribution);
  const Tensor view = share_lse.view(), of_o = share_o.view();
  const std::uint64_t seed = 2 * given.forward.seed + 1;
  std::uint64_t index = 0;
  for (std::int64_t b = 0; b < view.batch; b++)
    for (std::int64_t s = 0; s < view.seq; s++)
      for (std::int64_t h = 0; h < view.heads; h++, index++) {
        const float random = random_element(seed, index, Distribution::normal);
        // Of ten rows of a share one has no keys; of 17 rows, one has none in any share.
        const std::uint64_t row = index % (view.batch / given.shares * view.seq * view.heads);
        const bool has_keys = random < 1.2F && row % 17 != 3;
        store_element(view.data, DType::f32, offset(view, b, s, h),
                      has_keys ? 5 * random : -std::numeric_limits<float>::infinity());
        if (!has_keys)
          std::fill_n(
              static_cast<std::byte*>(of_o.data) + offset(of_o, b, s, h) * bytes(of_o.dtype),
              of_o.dim * bytes(of_o.dtype), HostTensor::poison_byte);
      }
}

MergeArgs MergeTensors::args() const {
  return {share_o.view(), share_lse.view(), o.view(), lse.view(), max_sms_};
}

MergeAccuracy check_merge_result(const MergeTensors& tensors) {
  const MergeArgs args = tensors.args();
  const Tensor& o = args.o;
  MergeAccuracy all{.rows = o.batch * o.seq * o.heads};
  std::mutex mutex;
  parallel_for(o.batch * o.seq, 0, [&](std::int64_t i) {
    MergeAccuracy found;
    for (std::int64_t h = 0; h < o.heads; h++) check_row(args, i / o.seq, i % o.seq, h, found);
    const std::lock_guard lock(mutex);
    all.o = std::max(all.o, found.o);
    all.lse = std::max(all.lse, found.lse);
  });
  all.untouched =
      tensors.o.is_poison_outside({0, o.seq}) && tensors.lse.is_poison_outside({0, o.seq});
  return all;
}

MergeOperands::MergeOperands(const MergeTensors& tensors, Workbench& bench)
    : bench_(bench),
      share_o_(uploaded(bench, tensors.share_o)),
      share_lse_(uploaded(bench, tensors.share_lse)),
      o_(uploaded(bench, tensors.o)),
      lse_(uploaded(bench, tensors.lse)),
      args_(tensors.args()) {
  args_.share_o = tensors.share_o.view_at(share_o_.get());
  args_.share_lse = tensors.share_lse.view_at(share_lse_.get());
  args_.o = tensors.o.view_at(o_.get());
  args_.lse = tensors.lse.view_at(lse_.get());
}

void MergeOperands::download_outputs(MergeTensors& tensors) const {
  download(bench_, o_, tensors.o);
  download(bench_, lse_, tensors.lse);
}

void run_once(const MergeKernel& kernel, MergeTensors& tensors, Workbench& bench) {
  const MergeOperands operands(tensors, bench);
  bench.run(operands.launch_of(kernel));
  operands.download_outputs(tensors);
}

}  // namespace streamattn
