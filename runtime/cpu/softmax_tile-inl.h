// The online softmax over one tile. Lanes are query rows, so that it never reduces across lanes.
// Compiled once per instruction set, as vectors-inl.h is.
#if defined(STREAMATTN_CPU_SOFTMAX_TILE) == defined(HWY_TARGET_TOGGLE)
#ifdef STREAMATTN_CPU_SOFTMAX_TILE
#undef STREAMATTN_CPU_SOFTMAX_TILE
#else
#define STREAMATTN_CPU_SOFTMAX_TILE
#endif

#include <hwy/aligned_allocator.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "compiler/operations/forward/dropout.h"
#include "compiler/operations/forward/key_rows.h"
#include "runtime/cpu/operands-inl.h"
#include "runtime/cpu/tile.h"
#include "runtime/cpu/vectors-inl.h"
#include "support/half.h"

HWY_BEFORE_NAMESPACE();
namespace streamattn {
namespace HWY_NAMESPACE {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// A tile while it is computed. "Blocks" are block_lanes() consecutive rows; every buffer holds
/// blocks. Row r is query r / heads of head r % heads, so that a block has few different queries
/// and with them few keys that only some of its rows see.
template <typename Operands>
class Tile {
 public:
  Tile(const Problem& problem, const FlatProblem& exprs, const ForwardCall& call,
       const CpuTile& tile, std::int64_t tile_kv)
      : problem_(problem),
        exprs_(exprs),
        evaluator_(exprs, call),
        key_rows_(exprs.ranges, call),
        kept_(call),
        call_(call),
        tile_(tile),
        heads_(tile.head_end - tile.head_begin),
        heads_differ_(exprs.mask && exprs.mask->uses(Variable::head)),
        scale_(exprs.score ? 1 : call.scale),
        rows_((tile.q_end - tile.q_begin) * heads_),
        blocks_(hwy::DivCeil<size_t>(rows_, block_lanes())),
        tile_kv_(std::clamp<std::int64_t>(call.kv_len(), 1, tile_kv)),
        o_rows_(hwy::RoundUpTo(problem.v_head_dim(), Operands::row_multiple)),
        operands_(problem, call, tile, blocks_, tile_kv_),
        p_(allocate<float>(hwy::RoundUpTo(tile_kv_, Operands::row_multiple) * block_lanes())),
        sees_(allocate<float>(tile_kv_ * block_lanes())),
        visible_(allocate<std::uint8_t>(exprs.mask ? tile_kv_ * block_lanes() : 0)),
        scores_(allocate<float>(exprs.score ? tile_kv_ : 0)),
        keeps_(problem.dropout ? tile_kv_ : 0),
        o_(allocate_zeros<float>(blocks_ * o_rows_ * block_lanes())),
        maximum_(allocate<float>(blocks_ * block_lanes())),
        sum_(allocate_zeros<float>(blocks_ * block_lanes())),
        factor_(allocate<float>(block_lanes())) {}

  void run() {
    load_queries();
    std::fill_n(maximum_.get(), blocks_ * block_lanes(), -infinity);
    RowSet seen;
    for (size_t block = 0; block < blocks_; ++block) seen.add(keys_of(block).seen);
    RowSet steps;
    for (const Rows& range : seen) {
      steps.add({range.begin / tile_kv_, hwy::DivCeil<std::int64_t>(range.end, tile_kv_)});
    }
    for (const Rows& range : steps) {
      for (std::int64_t step = range.begin; step < range.end; ++step) {
        const Rows keys = keys_of_step(seen, step);
        operands_.load_keys(keys.begin, keys.end - keys.begin);
        for (size_t block = 0; block < blocks_; ++block)
          attend(block, keys.begin, keys.end - keys.begin);
      }
    }
    store_outputs();
  }

 private:
  /// What is loaded of the keys of a step, which `seen` has some of. Steps lie where they do for
  /// every tile, and groups of keys that are multiplied together where they do in a whole step: a
  /// row's result does not depend on which others share its tile.
  Rows keys_of_step(const RowSet& seen, std::int64_t step) const {
    constexpr std::int64_t group = 64;
    const std::int64_t first = step * tile_kv_;
    const Rows keys = seen.hull_in({first, first + tile_kv_});
    return {first + (keys.begin - first) / group * group, keys.end};
  }

  std::int64_t head(size_t row) const { return tile_.head_begin + row % heads_; }
  std::int64_t query(size_t row) const { return tile_.q_begin + row / heads_; }

  void load_queries() {
    const Tensor& q = call_.q;
    for (size_t r = 0; r < rows_; ++r) {
      operands_.load_query(
          r, tile_.batch * q.batch_stride + query(r) * q.seq_stride + head(r) * q.head_stride);
    }
  }

  /// The last row of the block that starts with row `first`.
  size_t last_row(size_t first) const { return std::min(first + block_lanes(), rows_) - 1; }

  /// What is known of the keys of a block: of all its heads.
  const KeyRows& keys_of(size_t block) {
    for (size_t next = keys_of_blocks_.size(); next <= block; ++next) {
      const size_t first = next * block_lanes();
      const Rows queries = {query(first), query(last_row(first)) + 1};
      KeyRows keys = key_rows_.of(tile_.batch, tile_.head_begin, queries);
      for (std::int64_t other = 1; heads_differ_ && other < heads_; ++other) {
        const KeyRows more = key_rows_.of(tile_.batch, tile_.head_begin + other, queries);
        keys.seen.add(more.seen);
        keys.full.keep(more.full);
      }
      keys_of_blocks_.push_back(std::move(keys));
    }
    return keys_of_blocks_[block];
  }

  /// What is known of the keys of a row: found for the whole tile where it is first asked for.
  const KeyRows& keys_of_row(size_t row) {
    if (keys_of_queries_.empty()) {
      keys_of_queries_.reserve(rows_);
      for (std::int64_t other = 0; other < (heads_differ_ ? heads_ : 1); ++other) {
        key_rows_.of_each(
            tile_.batch, tile_.head_begin + other, {tile_.q_begin, tile_.q_end},
            [&](std::int64_t, KeyRows&& keys) { keys_of_queries_.push_back(std::move(keys)); });
      }
    }
    const std::int64_t index = query(row) - tile_.q_begin;
    return keys_of_queries_[heads_differ_ ? row % heads_ * (tile_.q_end - tile_.q_begin) + index
                                          : index];
  }

  /// One block of rows against the keys that are loaded.
  void attend(size_t block, std::int64_t begin, std::int64_t keys) {
    const size_t first = block * block_lanes();
    const size_t last = last_row(first);
    const KeyRows& known = keys_of(block);
    const Rows seen_rows = known.seen.hull_in({begin, begin + keys});
    if (is_empty(seen_rows)) return;
    keys = seen_rows.end - begin;

    Rows full = known.full.longest_in({begin, begin + keys});
    full = {full.begin - begin, full.end - begin};
    const Seen seen = look(first, last, begin, full, keys);
    if (is_empty(full) && seen == Seen::none) return;
    operands_.score(block, keys, p_.get());
    if (exprs_.score) change_scores(first, last, begin, keys);
    if (seen != Seen::all) hide_keys(first, last, full, keys);
    softmax(block, keys);
    if (problem_.dropout) drop_weights(first, last, begin, keys);
    // A probability of zero hides no NaN and no infinity of V, so these need the mask once more.
    const bool masks_values = seen != Seen::all && !operands_.values_are_finite();
    if (masks_values) note_seen(first, last, full, keys);
    operands_.add_values(p_.get(), masks_values ? sees_.get() : nullptr, keys, factor_.get(),
                         o_.get() + first * o_rows_);
  }

  CallRow at(size_t row) const { return {tile_.batch, head(row), query(row)}; }

  /// The keys at hand that a row of the block that starts with row `first` sees: one row of
  /// visible_ for each query, or for each row where heads see different keys.
  std::uint8_t* visible(size_t first, size_t row) const {
    const std::int64_t line = heads_differ_ ? row - first : query(row) - query(first);
    return visible_.get() + line * tile_kv_;
  }

  enum class Seen { none, some, all };

  /// Calls visit(begin, end) for what `full` leaves of the first `keys` keys.
  template <typename Visit>
  static void outside(Rows full, std::int64_t keys, const Visit& visit) {
    visit(std::int64_t{0}, full.begin);
    visit(full.end, keys);
  }

  /// Finds out which of the first `keys` of the loaded keys rows see; all see those of `full`.
  Seen look(size_t first, size_t last, std::int64_t begin, Rows full, std::int64_t keys) {
    if (full.begin == 0 && full.end == keys) return Seen::all;
    unsigned any = 0, all = 1;
    const std::uint8_t* before = nullptr;
    for (size_t row = first; row <= last; ++row) {
      std::uint8_t* line = visible(first, row);
      if (line == before) continue;
      before = line;
      outside(full, keys, [&](std::int64_t from, std::int64_t to) {
        see(row, begin, {from, to}, line);
        for (std::int64_t key = from; key < to; ++key) any |= line[key], all &= line[key];
      });
    }
    return all != 0 ? Seen::all : any != 0 ? Seen::some : Seen::none;
  }

  /// Writes to `line` which of some of the loaded keys a row sees: where its ranges do not tell,
  /// the mask does.
  void see(size_t row, std::int64_t begin, Rows keys, std::uint8_t* line) {
    if (is_empty(keys)) return;
    const KeyRows& known = keys_of_row(row);
    const auto loaded = [&](Rows rows) {
      return overlap({rows.begin - begin, rows.end - begin}, keys);
    };
    std::fill(line + keys.begin, line + keys.end, 0);
    for (const Rows& range : known.full) {
      if (const Rows part = loaded(range); !is_empty(part))
        std::fill(line + part.begin, line + part.end, 1);
    }
    for (const Rows& range : known.open()) {
      const Rows part = loaded(range);
      if (is_empty(part)) continue;
      evaluator_.see(at(row), begin + part.begin, part.end - part.begin, line + part.begin);
    }
  }

  /// Turns products of queries and keys into scores.
  void change_scores(size_t first, size_t last, std::int64_t begin, std::int64_t keys) {
    for (size_t row = first; row <= last; ++row) {
      float* column = p_.get() + (row - first);
      for (std::int64_t key = 0; key < keys; ++key)
        scores_[key] = column[key * block_lanes()] * call_.scale;
      evaluator_.change(at(row), begin, keys, scores_.get());
      for (std::int64_t key = 0; key < keys; ++key) column[key * block_lanes()] = scores_[key];
    }
  }

  /// Gives the scores of unseen keys among the first `keys` loaded ones the value -inf.
  void hide_keys(size_t first, size_t last, Rows full, std::int64_t keys) {
    for (size_t row = first; row <= last; ++row) {
      const std::uint8_t* line = visible(first, row);
      float* column = p_.get() + (row - first);
      outside(full, keys, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t key = from; key < to; ++key) {
          if (line[key] == 0) column[key * block_lanes()] = -infinity;
        }
      });
    }
  }

  /// Leaves only what is kept of the weights of the first `keys` loaded keys.
  void drop_weights(size_t first, size_t last, std::int64_t begin, std::int64_t keys) {
    for (size_t row = first; row <= last; ++row) {
      kept_.find(at(row), begin, keys, keeps_.data());
      float* column = p_.get() + (row - first);
      for (std::int64_t key = 0; key < keys; ++key)
        if (keeps_[key] == 0) column[key * block_lanes()] = 0;
    }
  }

  /// Writes to sees_ which of the loaded keys each row sees.
  void note_seen(size_t first, size_t last, Rows full, std::int64_t keys) {
    for (size_t row = first; row <= last; ++row) {
      const std::uint8_t* line = visible(first, row);
      float* column = sees_.get() + (row - first);
      for (std::int64_t key = full.begin; key < full.end; ++key) column[key * block_lanes()] = 1;
      outside(full, keys, [&](std::int64_t from, std::int64_t to) {
        for (std::int64_t key = from; key < to; ++key)
          column[key * block_lanes()] = line[key] != 0 ? 1 : 0;
      });
    }
  }

  /// Turns the scores in p_ into probabilities relative to the new maximum of every row, and
  /// leaves in factor_ what earlier results shrink by.
  void softmax(size_t block, size_t keys) {
    const Lanes d;
    const size_t lanes = hn::Lanes(d);
    const Vector scale = hn::Set(d, scale_);
    for (size_t lane = 0; lane < block_lanes(); lane += lanes) {
      float* scores = p_.get() + lane;
      float* row_maximum = maximum_.get() + block * block_lanes() + lane;
      float* row_sum = sum_.get() + block * block_lanes() + lane;

      Vector largest = hn::Set(d, -infinity);
      for (size_t key = 0; key < keys; ++key) {
        largest = hn::Max(largest, hn::Load(d, scores + key * block_lanes()));
      }
      const Vector before = hn::Load(d, row_maximum);
      const Vector maximum = hn::Max(before, largest);
      // A row that has seen no key yet has the maximum -inf, which must not meet itself.
      const Vector shift =
          hn::IfThenElse(hn::Eq(maximum, hn::Set(d, -infinity)), hn::Zero(d), maximum);
      // Scaled after the subtraction: a rounded product of a large score is no maximum any more.
      const auto weight = [&](Vector score) { return exp(hn::Mul(hn::Sub(score, shift), scale)); };
      const Vector factor = weight(before);
      Vector sum = hn::Zero(d);  // by itself, so that the sum of many tiles does not swallow a key
      for (size_t key = 0; key < keys; ++key) {
        float* score = scores + key * block_lanes();
        const Vector p = weight(hn::Load(d, score));
        sum = hn::Add(sum, p);
        hn::Store(p, d, score);
      }
      hn::Store(maximum, d, row_maximum);
      hn::Store(hn::MulAdd(hn::Load(d, row_sum), factor, sum), d, row_sum);
      hn::Store(factor, d, factor_.get() + lane);
    }
  }

  void store_outputs() {
    const size_t v_dim = problem_.v_head_dim();
    const DType type = problem_.output_dtype();
    const float of_kept = problem_.dropout ? kept_.factor() : 1;
    for (size_t r = 0; r < rows_; ++r) {
      const Tensor& o = call_.o;
      const std::int64_t offset =
          tile_.batch * o.batch_stride + query(r) * o.seq_stride + head(r) * o.head_stride;
      const float* from =
          o_.get() + r / block_lanes() * o_rows_ * block_lanes() + r % block_lanes();
      const auto [factor, log_sum] = end_of(r);
      for (size_t d = 0; d < v_dim; ++d) {
        store_element(o.data, type, offset + d, from[d * block_lanes()] * factor * of_kept);
      }
      if (call_.lse.data != nullptr) {
        const Tensor& lse = call_.lse;
        static_cast<float*>(lse.data)[tile_.batch * lse.batch_stride + query(r) * lse.seq_stride +
                                      head(r) * lse.head_stride] = log_sum;
      }
    }
  }

  /// What a row of o_ is multiplied by, and the LSE.
  struct End {
    float factor, log_sum;
  };

  // The LSE in float64: where scores are large, a rounding here is as large as all others
  // together. NaN where all scores are -inf, as the row of O is (0 / 0).
  End end_of(size_t row) {
    const double sink = exprs_.sink ? evaluator_.sink(at(row)) : -infinity;
    if (sum_[row] == 0 && !sees_any_key(row)) return {0, static_cast<float>(sink)};
    const double maximum = maximum_[row] * static_cast<double>(scale_);
    const double sum = sum_[row];
    if (!exprs_.sink) {
      return {1 / sum_[row], sum == 0 ? std::numeric_limits<float>::quiet_NaN()
                                      : static_cast<float>(maximum + std::log(sum))};
    }
    // Relative to the larger one; both -inf make NaN of it.
    const double largest = maximum > sink ? maximum : sink;
    const double share = std::exp(maximum - largest);
    const double total = sum * share + std::exp(sink - largest);
    return {static_cast<float>(share / total), static_cast<float>(largest + std::log(total))};
  }

  /// Asked only of rows without a weight: their scores may all be -inf.
  bool sees_any_key(size_t row) {
    const KeyRows& known = keys_of_row(row);
    if (!known.full.empty()) return true;
    for (const Rows& range : known.seen) {
      for (std::int64_t begin = range.begin; begin < range.end; begin += tile_kv_) {
        const std::int64_t keys = std::min<std::int64_t>(tile_kv_, range.end - begin);
        std::uint8_t* line = visible_.get();
        evaluator_.see(at(row), begin, keys, line);
        if (std::find(line, line + keys, 1) != line + keys) return true;
      }
    }
    return false;
  }

  const Problem& problem_;
  const FlatProblem& exprs_;
  CallEvaluator<float> evaluator_;
  KeyRowEvaluator key_rows_;
  KeptWeights kept_;
  std::vector<KeyRows> keys_of_blocks_, keys_of_queries_;
  const ForwardCall& call_;
  const CpuTile& tile_;
  const std::int64_t heads_;
  const bool heads_differ_;  // in what they see
  const float scale_;        // of what p_ holds before the softmax
  const size_t rows_, blocks_;
  const std::int64_t tile_kv_;
  const size_t o_rows_;  // v_head_dim, and what the operands add to it
  Operands operands_;
  Buffer<float> p_;               // [key][row]: scores, then probabilities of one block
  Buffer<float> sees_;            // [key][row]: 1 where the row sees the key, else 0; seldom needed
  Buffer<std::uint8_t> visible_;  // [query or row][key]: 1 where it is seen, else 0
  Buffer<float> scores_;          // [key], of one row
  std::vector<std::uint8_t> keeps_;  // [key], of one row: 1 where its weight is kept, else 0
  Buffer<float> o_;                  // [block][o_rows_][row], not yet divided by the sums
  Buffer<float> maximum_;            // [block][row], of the scores before they are scaled
  Buffer<float> sum_;                // [block][row]
  Buffer<float> factor_;             // [row]
};

}  // namespace HWY_NAMESPACE
}  // namespace streamattn
HWY_AFTER_NAMESPACE();

#endif
