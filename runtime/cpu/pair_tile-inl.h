// A tile of pairs of the CPU's backward pass: P and dS of some queries of one head and some keys.
// Compiled once per instruction set, as vectors-inl.h is.
#if defined(STREAMATTN_CPU_PAIR_TILE) == defined(HWY_TARGET_TOGGLE)
#ifdef STREAMATTN_CPU_PAIR_TILE
#undef STREAMATTN_CPU_PAIR_TILE
#else
#define STREAMATTN_CPU_PAIR_TILE
#endif

#include <hwy/aligned_allocator.h>
#include <hwy/highway.h>

#include <algorithm>
#include <limits>

#include "compiler/operations/forward/dropout.h"
#include "compiler/operations/forward/key_rows.h"
#include "runtime/cpu/backward_tile.h"
#include "runtime/cpu/operands-inl.h"
#include "runtime/cpu/vectors-inl.h"
#include "support/half.h"

HWY_BEFORE_NAMESPACE();
namespace streamattn {
namespace HWY_NAMESPACE {

/// Rows of float32 as they lie, and with their columns or themselves as lanes.
class FloatRows {
 public:
  FloatRows(std::int64_t capacity, std::int64_t columns)
      : columns_(columns),
        rows_(hwy::RoundUpTo(capacity, block_lanes())),
        values_(allocate<float>(rows_ * columns)),
        by_row_(allocate<float>(rows_ * columns)),
        by_column_(allocate<float>(rows_ * hwy::RoundUpTo(columns, block_lanes()))) {}

  /// Takes rows of one head.
  void load(const Tensor& tensor, std::int64_t batch, std::int64_t head, Rows rows) {
    count_ = rows.end - rows.begin;
    is_finite_ = true;
    for (std::int64_t r = 0; r < count_; ++r) {
      const std::int64_t from = batch * tensor.batch_stride + head * tensor.head_stride +
                                (rows.begin + r) * tensor.seq_stride;
      for (std::int64_t d = 0; d < columns_; ++d) {
        const float value = load_element(tensor.data, tensor.dtype, from + d);
        values_[r * columns_ + d] = value;
        is_finite_ = is_finite_ && value * 0 == 0;
      }
    }
  }

  /// Makes lanes_of_rows() and lanes_of_columns().
  void spread() {
    const auto lanes = static_cast<std::int64_t>(block_lanes());
    const std::int64_t blocks = hwy::DivCeil(count_, lanes);
    std::fill_n(by_row_.get(), blocks * lanes * columns_, 0.0F);
    std::fill_n(by_column_.get(), rows_ * hwy::RoundUpTo(columns_, lanes), 0.0F);
    for (std::int64_t r = 0; r < count_; ++r) {
      for (std::int64_t d = 0; d < columns_; ++d) {
        const float value = values_[r * columns_ + d];
        by_row_[(r / lanes * columns_ + d) * lanes + r % lanes] = value;
        by_column_[(d / lanes * rows_ + r) * lanes + d % lanes] = value;
      }
    }
  }

  std::int64_t count() const { return count_; }
  std::int64_t columns() const { return columns_; }
  bool is_finite() const { return is_finite_; }
  const float* values() const { return values_.get(); }

  /// Block `block` of rows: [columns] of one value a row.
  const float* lanes_of_rows(std::int64_t block) const {
    return by_row_.get() + block * block_lanes() * columns_;
  }

  /// Block `block` of columns: [rows] of one value a column.
  const float* lanes_of_columns(std::int64_t block) const {
    return by_column_.get() + block * rows_ * block_lanes();
  }

 private:
  std::int64_t columns_, rows_, count_ = 0;
  bool is_finite_ = true;
  Buffer<float> values_, by_row_, by_column_;
};

/// A tile of pairs while it is computed: P and dS of loaded rows and loaded keys, [rows] of a block
/// of keys, block after block. Pairs that the mask hides have 0 in both, whatever their operands.
class PairTile {
 public:
  explicit PairTile(const CpuBackward& work)
      : work_(work),
        evaluator_(work.exprs, work.call.forward),
        slopes_(work.slopes, work.call),
        key_rows_(work.exprs.ranges, work.call.forward),
        kept_(work.call.forward),
        q_(work.tile_q, work.problem.head_dim),
        d_o_(work.tile_q, work.problem.v_head_dim()),
        k_(work.tile_kv, work.problem.head_dim),
        v_(work.tile_kv, work.problem.v_head_dim()),
        lse_(allocate<float>(work.tile_q)),
        delta_(allocate<float>(work.tile_q)),
        ones_(allocate<float>(block_lanes())),
        visible_(allocate<std::uint8_t>(block_lanes())),
        scores_(allocate<float>(block_lanes())),
        factors_(allocate<float>(block_lanes())) {
    const size_t pairs = work.tile_q * hwy::RoundUpTo(work.tile_kv, block_lanes());
    for (Buffer<float>* buffer : {&products_, &p_, &ds_, &sees_}) *buffer = allocate<float>(pairs);
    std::fill_n(ones_.get(), block_lanes(), 1.0F);
    std::fill_n(factors_.get(), block_lanes(), 1.0F);
  }

  void load_rows(std::int64_t batch, std::int64_t head, Rows rows) {
    const BackwardCall& call = work_.call;
    first_ = {batch, head, rows.begin};
    q_.load(call.forward.q, batch, head, rows);
    d_o_.load(call.d_o, batch, head, rows);
    for (std::int64_t r = 0; r < q_.count(); ++r) load_statistics(r);
    known_ = key_rows_.of(batch, head, rows);
  }

  /// The tile of queries is loaded; whether it may see some of `keys`.
  bool sees(Rows keys) const {
    const Rows hull = known_.seen.hull_in(keys);
    return hull.begin < hull.end;
  }

  void load_keys(std::int64_t batch, std::int64_t kv_head, Rows keys) {
    keys_ = keys;
    k_.load(work_.call.forward.k, batch, kv_head, keys);
    v_.load(work_.call.forward.v, batch, kv_head, keys);
    k_.spread();
    v_.spread();
  }

  /// P, and dS with respect to the score, or, `through_score`, to the scaled product.
  void compute(bool through_score) {
    is_full_ = known_.full.contains(keys_);
    for (std::int64_t block = 0; block < key_blocks(); ++block) {
      multiply<false>({q_.values(), size(q_.columns()), 1}, q_.count(), k_.lanes_of_rows(block),
                      nullptr, k_.columns(), nullptr, at(products_, block));
      multiply<false>({d_o_.values(), size(d_o_.columns()), 1}, q_.count(), v_.lanes_of_rows(block),
                      nullptr, v_.columns(), nullptr, at(ds_, block));
      for (std::int64_t r = 0; r < q_.count(); ++r) finish(block, r, through_score);
    }
  }

  /// d_q (block after block of columns, [tile_q] rows of each) += dS K.
  void add_to_d_q(float* d_q) const {
    for (std::int64_t column = 0; column < blocks(k_.columns()); ++column) {
      float* to = d_q + column * work_.tile_q * block_lanes();
      for (std::int64_t block = 0; block < key_blocks(); ++block) {
        const float* keys = k_.lanes_of_columns(column) + block * block_lanes() * block_lanes();
        if (is_full_ || k_.is_finite())
          multiply<false>({at(ds_, block), block_lanes(), 1}, q_.count(), keys, nullptr,
                          keys_of(block), ones_.get(), to);
        else
          add_seen(block, keys, to);
      }
    }
  }

  /// d_k and d_v (block after block of keys, a row a column) += dS^T Q and P^T dO.
  void add_to_d_k_d_v(float* d_k, float* d_v) const {
    for (std::int64_t block = 0; block < key_blocks(); ++block) {
      add_columns(q_, ds_, block, d_k);
      add_columns(d_o_, p_, block, d_v);
    }
  }

  /// Calls add(offset, derivative) with what the tile contributes to the gradient of a tensor;
  /// computed with respect to the score.
  template <class Add>
  void each_element(int tensor, const Add& add) {
    for (std::int64_t r = 0; r < q_.count(); ++r)
      for (std::int64_t block = 0; block < key_blocks(); ++block)
        slopes_.each_element(tensor, row(r), first_key(block), keys_of(block),
                             at(products_, block) + r * block_lanes(),
                             at(ds_, block) + r * block_lanes(), add);
  }

  /// The same of the sinks of the loaded rows: P of a sink is exp(sink - LSE), and its dP is 0.
  template <class Add>
  void each_sink_element(int tensor, const Add& add) {
    for (std::int64_t r = 0; r < q_.count(); ++r)
      slopes_.each_sink_element(tensor, row(r),
                                -std::exp(evaluator_.sink(row(r)) - lse_[r]) * delta_[r], add);
  }

 private:
  static size_t size(std::int64_t n) { return static_cast<size_t>(n); }
  static std::int64_t blocks(std::int64_t n) { return hwy::DivCeil(size(n), block_lanes()); }

  std::int64_t key_blocks() const { return blocks(k_.count()); }
  std::int64_t first_key(std::int64_t block) const {
    return keys_.begin + block * static_cast<std::int64_t>(block_lanes());
  }
  std::int64_t keys_of(std::int64_t block) const {
    return std::min<std::int64_t>(block_lanes(), keys_.end - first_key(block));
  }
  CallRow row(std::int64_t r) const { return {first_.batch, first_.head, first_.row + r}; }

  /// The rows of a block of keys in a buffer of pairs.
  float* at(const Buffer<float>& pairs, std::int64_t block) const {
    return pairs.get() + block * work_.tile_q * block_lanes();
  }

  void load_statistics(std::int64_t r) {
    const ForwardCall& call = work_.call.forward;
    const auto offset = [&](const Tensor& t) {
      return first_.batch * t.batch_stride + first_.head * t.head_stride +
             (first_.row + r) * t.seq_stride;
    };
    lse_[r] = load_element(call.lse.data, DType::f32, offset(call.lse));
    double delta = 0;
    for (std::int64_t d = 0; d < d_o_.columns(); ++d)
      delta += static_cast<double>(d_o_.values()[r * d_o_.columns() + d]) *
               load_element(call.o.data, call.o.dtype, offset(call.o) + d);
    delta_[r] = static_cast<float>(delta);
  }

  /// From products to P and dS of one row and a block of keys.
  void finish(std::int64_t block, std::int64_t r, bool through_score) {
    const Lanes d;
    const size_t lanes = hn::Lanes(d);
    const std::int64_t keys = keys_of(block), at_row = r * static_cast<std::int64_t>(2 * lanes);
    float* const products = at(products_, block) + at_row;
    float* const p = at(p_, block) + at_row;
    float* const ds = at(ds_, block) + at_row;
    float* const sees = at(sees_, block) + at_row;
    for (size_t i = 0; i < 2 * lanes; i += lanes) {
      const Vector scaled =
          hn::Mul(hn::Load(d, products + i), hn::Set(d, work_.call.forward.scale));
      hn::Store(scaled, d, products + i);
      hn::Store(scaled, d, scores_.get() + i);
    }
    evaluator_.change(row(r), first_key(block), keys, scores_.get());
    find_visible(block, r, sees);
    if (work_.problem.dropout) find_kept(block, r);
    const Vector lse = hn::Set(d, lse_[r]), delta = hn::Set(d, delta_[r]), zero = hn::Zero(d);
    for (size_t i = 0; i < 2 * lanes; i += lanes) {
      const auto is_hidden = hn::Eq(hn::Load(d, sees + i), zero);
      const Vector x = hn::Sub(hn::Load(d, scores_.get() + i), lse);
      const Vector most = hn::Set(d, 88.0F);  // beyond it exp() is not defined, and P no P
      const Vector weight = hn::IfThenElse(
          hn::Gt(x, most), hn::Set(d, std::numeric_limits<float>::infinity()), exp(x));
      const Vector factor = hn::Load(d, factors_.get() + i);
      const Vector slope = hn::Mul(weight, hn::MulSub(hn::Load(d, ds + i), factor, delta));
      hn::Store(hn::IfThenElse(is_hidden, zero, hn::Mul(weight, factor)), d, p + i);
      hn::Store(hn::IfThenElse(is_hidden, zero, slope), d, ds + i);
    }
    if (through_score) slopes_.chain(row(r), first_key(block), keys, products, ds);
  }

  /// 1 where the row sees a key of the block, else 0.
  void find_visible(std::int64_t block, std::int64_t r, float* sees) {
    const std::int64_t keys = keys_of(block);
    std::fill_n(sees, block_lanes(), 0.0F);
    if (is_full_) {
      std::fill_n(sees, keys, 1.0F);
      return;
    }
    evaluator_.see(row(r), first_key(block), keys, visible_.get());
    for (std::int64_t i = 0; i < keys; ++i) sees[i] = visible_[i];
  }

  /// What dropout multiplies the row's weights of a block of keys by.
  void find_kept(std::int64_t block, std::int64_t r) {
    const std::int64_t keys = keys_of(block);
    kept_.find(row(r), first_key(block), keys, visible_.get());
    for (std::int64_t i = 0; i < keys; ++i) factors_[i] = visible_[i] != 0 ? kept_.factor() : 0;
  }

  /// What multiply() adds to d_q, key by key, where some that a row does not see are not finite.
  void add_seen(std::int64_t block, const float* keys, float* d_q) const {
    const size_t lanes = block_lanes();
    for (std::int64_t r = 0; r < q_.count(); ++r)
      for (std::int64_t i = 0; i < keys_of(block); ++i)
        if (at(sees_, block)[r * lanes + i] != 0)
          multiply_rows<false, 1>({at(ds_, block) + r * lanes + i, 0, 0}, keys + i * lanes, nullptr,
                                  1, ones_.get(), d_q + r * lanes);
  }

  /// to += rows^T pairs, for one block of keys.
  void add_columns(const FloatRows& rows, const Buffer<float>& pairs, std::int64_t block,
                   float* to) const {
    const auto columns = size(rows.columns());
    const Left left{rows.values(), 1, columns};
    to += block * columns * block_lanes();
    if (is_full_ || rows.is_finite())
      multiply<false>(left, columns, at(pairs, block), nullptr, rows.count(), ones_.get(), to);
    else
      multiply<true>(left, columns, at(pairs, block), at(sees_, block), rows.count(), ones_.get(),
                     to);
  }

  const CpuBackward& work_;
  CallEvaluator<float> evaluator_;
  SlopeEvaluator<float> slopes_;
  KeyRowEvaluator key_rows_;
  KeptWeights kept_;
  FloatRows q_, d_o_, k_, v_;
  Buffer<float> lse_, delta_, ones_;
  Buffer<std::uint8_t> visible_;    // of a row: whether it sees a key, or keeps its weight
  Buffer<float> scores_, factors_;  // of a row
  Buffer<float> products_, p_, ds_, sees_;
  CallRow first_ = {};
  Rows keys_ = {};
  KeyRows known_;
  bool is_full_ = false;  // every row sees every key
};

}  // namespace HWY_NAMESPACE
}  // namespace streamattn
HWY_AFTER_NAMESPACE();

#endif
