// The obvious append, row by row, beside what a kernel wrote.
#include "measure/append_accuracy.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <vector>

#include "compiler/operations/append/call.h"
#include "measure/units.h"
#include "runtime/cpu/threads.h"
#include "support/half.h"

namespace streamattn {
namespace {

/// A row of a head: where it begins, in elements.
struct HeadRow {
  const Tensor& tensor;
  std::int64_t first;

  HeadRow(const Tensor& of, std::int64_t batch, std::int64_t seq, std::int64_t head)
      : tensor(of), first(batch * of.batch_stride + seq * of.seq_stride + head * of.head_stride) {}

  double value(std::int64_t column) const {
    return load_element(tensor.data, tensor.dtype, first + column);
  }
  bool equals(const HeadRow& other, std::int64_t column) const {
    const int size = bytes(tensor.dtype);
    return std::memcmp(static_cast<const char*>(tensor.data) + (first + column) * size,
                       static_cast<const char*>(other.tensor.data) + (other.first + column) * size,
                       size) == 0;
  }
};

/// What a launch should do, and how far it is from that.
class Check {
 public:
  Check(const Problem& problem, const AppendArgs& args)
      : call_(resolve(problem, args)), rope_(args.rope) {}

  const AppendCall& call() const { return call_; }
  AppendAccuracy found;  // all but `untouched`

  /// All heads of new row `i` of a sequence.
  void check_row(const AppendedRows& rows, std::int64_t i) {
    const std::int64_t batch = rows.source().batch, seq = rows.source().rows.begin + i;
    const std::int64_t position = call_.k_position + rows.row(i);
    for (std::int64_t head = 0; head < call_.q.heads; head++)
      check_turned({call_.q, batch, seq, head}, {call_.rotated_q, batch, seq, head}, position);
    const auto place = rows.place(i);
    if (!place) return;
    for (std::int64_t head = 0; head < call_.k.heads; head++) {
      check_turned({call_.new_k, batch, seq, head}, {call_.k, place->batch, place->seq, head},
                   position);
      check_copy({call_.new_v, batch, seq, head}, {call_.v, place->batch, place->seq, head}, 0);
    }
  }

 private:
  void check_copy(const HeadRow& from, const HeadRow& to, std::int64_t first_column) {
    found.rows++;
    for (std::int64_t c = first_column; c < from.tensor.dim; c++)
      if (!to.equals(from, c)) found.wrong_copies++;
  }

  void check_turned(const HeadRow& from, const HeadRow& to, std::int64_t position) {
    const RopeCall& rope = call_.rope;
    check_copy(from, to, rope.dim);
    const bool halves = rope.style == RopeStyle::split_half;
    for (std::int64_t i = 0; i < rope.dim / 2; i++) {
      const std::int64_t left = halves ? i : 2 * i, right = halves ? i + rope.dim / 2 : left + 1;
      const double a = from.value(left), b = from.value(right);
      const auto [cos, sin] = factors(position, i);
      compare(to, left, a * cos - b * sin, std::abs(a) + std::abs(b));
      compare(to, right, b * cos + a * sin, std::abs(a) + std::abs(b));
    }
  }

  std::pair<double, double> factors(std::int64_t position, std::int64_t pair) const {
    const Tensor &cos = call_.rope.cos, &sin = call_.rope.sin;
    if (cos.data != nullptr) {
      const std::int64_t row = std::clamp<std::int64_t>(position, 0, cos.seq - 1);
      return {HeadRow(cos, 0, row, 0).value(pair), HeadRow(sin, 0, row, 0).value(pair)};
    }
    const double exponent = -2.0 * static_cast<double>(pair) / static_cast<double>(call_.rope.dim);
    const double angle =
        static_cast<double>(position) / rope_.factor * std::pow(rope_.theta, exponent);
    return {std::cos(angle), std::sin(angle)};
  }

  void compare(const HeadRow& to, std::int64_t column, double exact, double size) {
    const double allowed = half_unit(to.tensor.dtype, exact) + 0x1p-21 * size;
    const double error = std::abs(to.value(column) - exact) / allowed;
    found.error =
        std::max(found.error, std::isnan(error) ? std::numeric_limits<double>::infinity() : error);
  }

  AppendCall call_;
  const Rope& rope_;
};

bool is_untouched(const AppendTensors& tensors, const AppendCall& call) {
  std::vector<SequenceRows> of_cache, of_queries;
  for (std::int64_t b = 0; b < call.sizes.batch; b++) {
    const AppendedRows rows(call, b);
    of_queries.push_back(rows.source());
    for (std::int64_t i = 0; i < rows.count(); i++)
      if (const auto place = rows.place(i))
        of_cache.push_back({place->batch, {place->seq, place->seq + 1}});
  }
  return tensors.k.is_poison_but_for(of_cache) && tensors.v.is_poison_but_for(of_cache) &&
         tensors.rotated_q.is_poison_but_for(of_queries);
}

}  // namespace

AppendAccuracy check_append_result(const Problem& problem, const AppendTensors& tensors,
                                   const AppendArgs& args) {
  constexpr std::int64_t part = 64;
  const Check whole(problem, args);
  const BatchSizes& sizes = whole.call().sizes;
  const std::int64_t parts = (sizes.q_len + part - 1) / part;
  AppendAccuracy sum;
  std::mutex mutex;
  parallel_for(sizes.batch * parts, 0, [&](std::int64_t index) {
    Check check(problem, args);
    const AppendedRows rows(check.call(), index / parts);
    const std::int64_t first = index % parts * part;
    for (std::int64_t i = first; i < std::min(first + part, rows.count()); i++)
      check.check_row(rows, i);
    const std::lock_guard lock(mutex);
    sum.rows += check.found.rows;
    sum.wrong_copies += check.found.wrong_copies;
    sum.error = std::max(sum.error, check.found.error);
  });
  sum.untouched = is_untouched(tensors, whole.call());
  return sum;
}

AppendAccuracy check_append_result(const Problem& problem, const AppendTensors& tensors) {
  return check_append_result(problem, tensors, tensors.args());
}

}  // namespace streamattn
