// Counts visible pairs: in closed form, and by elements where that leaves some open.
#include "tools/flops.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "compiler/expr/tile_policy.h"
#include "runtime/cpu/threads.h"
#include "tools/masked_call.h"

namespace streamattn {
namespace {

/// The rows of Q of every batch entry and head that the mask tells apart, one after the other.
class RowOrder {
 public:
  explicit RowOrder(const MaskedCall& masked)
      : q_len_(masked.call().q_len()),
        heads_(masked.heads()),
        count_(masked.batches() * masked.heads() * q_len_) {}

  std::int64_t count() const { return count_; }

  /// Calls visit(batch, head, rows) for rows [begin, end) of the order.
  template <class Visit>
  void visit(std::int64_t begin, std::int64_t end, const Visit& visit) const {
    while (begin < end) {
      const std::int64_t owner = begin / q_len_, row = begin % q_len_;
      const std::int64_t rows = std::min(end - begin, q_len_ - row);
      visit(owner / heads_, owner % heads_, Rows{row, row + rows});
      begin += rows;
    }
  }

 private:
  std::int64_t q_len_, heads_, count_;
};

/// Pairs that closed forms count, and those that they leave open; or of these the visible ones.
struct Tally {
  std::int64_t full = 0, open = 0;
};

Tally tally(const MaskedCall& masked, std::int64_t begin, std::int64_t end) {
  KeyRowEvaluator key_rows(masked.exprs().ranges, masked.call());
  Tally sum;
  RowOrder(masked).visit(begin, end, [&](std::int64_t batch, std::int64_t head, Rows rows) {
    key_rows.of_each(batch, head, rows, [&](std::int64_t, const KeyRows& keys) {
      const std::int64_t full = keys.full.count();
      sum.full += full;
      sum.open += keys.seen.count() - full;
    });
  });
  return sum;
}

/// The same with the mask asked about each open pair.
Tally counted_tally(const MaskedCall& masked, std::int64_t begin, std::int64_t end) {
  constexpr std::int64_t run = 4096;
  std::uint8_t seen[run];
  KeyRowEvaluator key_rows(masked.exprs().ranges, masked.call());
  CallEvaluator<float> evaluator(masked.exprs(), masked.call());
  Tally sum;
  RowOrder(masked).visit(begin, end, [&](std::int64_t batch, std::int64_t head, Rows rows) {
    key_rows.of_each(batch, head, rows, [&](std::int64_t row, const KeyRows& keys) {
      sum.full += keys.full.count();
      for (const Rows& range : keys.open()) {
        for (std::int64_t first = range.begin; first < range.end; first += run) {
          const std::int64_t count = std::min(run, range.end - first);
          evaluator.see({batch, head, row}, first, count, seen);
          sum.open += std::count(seen, seen + count, 1);
        }
      }
    });
  });
  return sum;
}

/// The sums over `count` rows in pieces, for all cores.
template <class Sum>
Tally in_parallel(std::int64_t count, std::int64_t piece, const Sum& sum) {
  std::atomic<std::int64_t> full = 0, open = 0;
  parallel_for((count + piece - 1) / piece, 0, [&](std::int64_t i) {
    const Tally part = sum(i * piece, std::min((i + 1) * piece, count));
    full += part.full;
    open += part.open;
  });
  return {full, open};
}

}  // namespace

Count visible_pairs(const ForwardCase& given, double most) {
  constexpr std::int64_t most_rows = std::int64_t{1} << 26, piece = 4096;
  const MaskedCall masked(given);
  const std::int64_t rows = RowOrder(masked).count();
  if (rows == 0 || masked.call().kv_len() == 0) return {};
  double sampled = 1 << 16;  // rows, where there are too many
  if (rows <= most_rows) {
    const Tally known = in_parallel(rows, piece, [&](std::int64_t begin, std::int64_t end) {
      return tally(masked, begin, end);
    });
    const auto open = static_cast<double>(known.open);
    if (known.open == 0) return {masked.repeats() * static_cast<double>(known.full)};
    if (open <= most) {
      const Tally all = in_parallel(rows, 64, [&](std::int64_t begin, std::int64_t end) {
        return counted_tally(masked, begin, end);
      });
      return {masked.repeats() * static_cast<double>(all.full + all.open)};
    }
    sampled = std::clamp(most / open * static_cast<double>(rows), 1.0, sampled);
  }
  const double step = static_cast<double>(rows) / std::floor(sampled);
  const Tally some =
      in_parallel(static_cast<std::int64_t>(sampled), 1, [&](std::int64_t i, std::int64_t) {
        // Of equal parts of the rows, the one in the middle.
        const auto row = static_cast<std::int64_t>((static_cast<double>(i) + 0.5) * step);
        return counted_tally(masked, row, row + 1);
      });
  return {masked.repeats() * step * static_cast<double>(some.full + some.open), true};
}

namespace {

/// Sequence `index` of a call as one of its own. What a mask takes from tensors by batch is that of
/// the first.
ForwardCase one_sequence(const ForwardCase& call, std::int64_t index) {
  ForwardCase one = call;
  one.problem.q_layout = one.problem.kv_layout = SequenceLayout::dense;
  one.problem.q_lens = one.problem.kv_lens = false;
  one.shape.batch = 1;
  one.shape.q_len = call.lengths.q_len(index, call.shape);
  one.shape.kv_len = call.lengths.kv_len(index, call.shape);
  one.lengths = {};
  return one;
}

}  // namespace

Count forward_flops(const ForwardCase& call, double most) {
  if (call.problem.is_ragged()) {
    Count sum{0, tile_owners(call.problem.mask).batches};
    for (std::int64_t i = 0; i < call.shape.batch; i++) {
      const Count one = forward_flops(one_sequence(call, i), most);
      sum.number += one.number;
      sum.is_estimate |= one.is_estimate;
    }
    return sum;
  }
  const double width = 2.0 * (call.problem.head_dim + call.problem.v_head_dim());
  const Rows rows = call.q_rows.value_or(Rows{0, call.shape.q_len});
  const Rows keys = call.kv_rows.value_or(Rows{0, call.shape.kv_len});
  const std::int64_t q_offset =
      call.q_offset.value_or(call.k_offset + call.shape.kv_len - call.shape.q_len);
  const std::int64_t length = rows.end - rows.begin;
  if (call.problem.mask.same_as(causal()) && length == keys.end - keys.begin &&
      q_offset + rows.begin == call.k_offset + keys.begin) {
    const auto all = static_cast<double>(call.shape.batch * call.heads());
    return {width * all * 0.5 * static_cast<double>(length) * static_cast<double>(length)};
  }
  const Count pairs = visible_pairs(call, most);
  return {width * pairs.number, pairs.is_estimate};
}

Count flops(const ForwardCase& call, double most) {
  if (call.operation == Operation::append || call.operation == Operation::merge) return {};
  Count count = forward_flops(call, most);
  if (call.operation == Operation::backward) count.number *= 2.5;
  return count;
}

}  // namespace streamattn
