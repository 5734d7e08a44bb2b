// Q, K, V and probabilities of the CPU target as pairs of bf16, for CPUs that multiply these faster
// than floats. Compiled once per instruction set, as cpu_vectors-inl.h is.
#if defined(STREAMATTN_CPU_PAIR_OPERANDS) == defined(HWY_TARGET_TOGGLE)
#ifdef STREAMATTN_CPU_PAIR_OPERANDS
#undef STREAMATTN_CPU_PAIR_OPERANDS
#else
#define STREAMATTN_CPU_PAIR_OPERANDS
#endif

#include <cmath>
#include <vector>

#include "runtime/cpu/operands-inl.h"
#include "runtime/cpu/pairs.h"

HWY_BEFORE_NAMESPACE();
namespace streamattn {
namespace HWY_NAMESPACE {

#if HWY_MAX_BYTES == 64  // blocks of pair_tile lanes

/// Q, K, V and the probabilities as bf16, which is what plain attention of that type rounds them
/// to. Has the members that FloatOperands has.
class PairOperands {
 public:
  static constexpr size_t row_multiple = pair_tile;

  PairOperands(const Problem& problem, const ForwardCall& call, const CpuTile& tile, size_t blocks,
               size_t tile_kv)
      : problem_(problem),
        call_(call),
        k_head_(problem, call, tile, call.k),
        v_head_(problem, call, tile, call.v),
        dim_(hwy::RoundUpTo(problem.head_dim, pair_tile)),
        keys_(hwy::RoundUpTo(tile_kv, pair_tile)),
        q_(allocate_zeros<std::uint16_t>(blocks * dim_ * pair_tile)),
        k_(allocate_zeros<std::uint16_t>(keys_ * dim_)),
        v_(allocate_zeros<std::uint16_t>(hwy::RoundUpTo(problem.v_head_dim(), pair_tile) * keys_)) {
  }

  void load_query(size_t row, std::int64_t offset) {
    const auto* from = static_cast<const std::uint16_t*>(call_.q.data) + offset;
    std::uint16_t* to = q_.get() + row / pair_tile * dim_ * pair_tile + 2 * (row % pair_tile);
    for (int d = 0; d < problem_.head_dim; ++d) {
      to[d / 2 * 2 * pair_tile + d % 2] = from[d];
    }
  }

  void load_keys(std::int64_t begin, std::int64_t keys) {
    for (std::int64_t key = 0; key < keys; ++key) {
      std::uint16_t* to = k_.get() + key * dim_;
      if (const std::uint16_t* from = k_head_.row(begin + key))
        std::copy_n(from, problem_.head_dim, to);
      else
        std::fill_n(to, problem_.head_dim, 0);
    }
    not_finite_.clear();
    if (!load_values(begin, keys)) set_aside_not_finite(keys);
  }

  void score(size_t block, size_t keys, float* p) const {
    const auto* q = reinterpret_cast<const float*>(q_.get() + block * dim_ * pair_tile);
    multiply_pairs()({.a = k_.get(),
                      .a_step = dim_,
                      .b = q,
                      .rows = hwy::RoundUpTo(keys, pair_tile),
                      .sums = dim_,
                      .factor = nullptr,
                      .c = p});
  }

  bool values_are_finite() const { return not_finite_.empty(); }

  void add_values(float* p, const float* sees, size_t keys, const float* factor, float* o) const {
    round_to_pairs(p, keys);
    multiply_pairs()({.a = v_.get(),
                      .a_step = keys_,
                      .b = p,
                      .rows = hwy::RoundUpTo(problem_.v_head_dim(), pair_tile),
                      .sums = hwy::RoundUpTo(keys, pair_tile),
                      .factor = factor,
                      .c = o});
    add_not_finite(p, sees, keys, o);
  }

 private:
  /// An element of V that is a NaN or an infinity.
  struct NotFinite {
    size_t key, column;
    float value;
  };

  /// Transposes the values of keys [begin, begin + keys), zeros after them. Returns whether all
  /// are finite.
  bool load_values(std::int64_t begin, std::int64_t keys) {
    const hn::FixedTag<std::int16_t, 8> d;
    const std::int64_t v_dim = problem_.v_head_dim();
    auto largest = hn::Zero(d);  // magnitude
    for (std::int64_t key = 0; key < keys; key += 8) {
      const std::uint16_t* from[8];  // null: zeros
      for (int i = 0; i < 8; ++i) from[i] = key + i < keys ? v_head_.row(begin + key + i) : nullptr;
      for (std::int64_t column = 0; column < v_dim; column += 8) {
        hn::Vec<decltype(d)> rows[8];
        for (int i = 0; i < 8; ++i) {
          rows[i] = from[i] != nullptr ? load_some(from[i] + column, v_dim - column) : hn::Zero(d);
          largest = hn::Max(largest, hn::And(rows[i], hn::Set(d, 0x7FFF)));
        }
        transpose(rows);
        for (int i = 0; i < 8; ++i) {
          hn::Store(rows[i], d,
                    reinterpret_cast<std::int16_t*>(v_.get()) + (column + i) * keys_ + key);
        }
      }
    }
    for (std::int64_t row = 0; row < v_dim; ++row) {
      std::uint16_t* values = v_.get() + row * keys_;
      std::fill(values + keys, values + hwy::RoundUpTo(keys, pair_tile), 0);
    }
    return hn::AllTrue(d, hn::Lt(largest, hn::Set(d, 0x7F80)));
  }

  /// Moves what is not finite out of v_, for add_not_finite(): a matrix product would spread it to
  /// rows that do not see its key.
  void set_aside_not_finite(size_t keys) {
    for (size_t column = 0; column < static_cast<size_t>(problem_.v_head_dim()); ++column) {
      for (size_t key = 0; key < keys; ++key) {
        std::uint16_t& bits = v_[column * keys_ + key];
        const float value = float_from_bf16(bits);
        if (std::isfinite(value)) continue;
        not_finite_.push_back({key, column, value});
        bits = 0;
      }
    }
  }

  /// Adds to o what was set aside of the first `keys` keys, for the rows that see it.
  void add_not_finite(const float* pairs, const float* sees, size_t keys, float* o) const {
    const Lanes d;
    const hn::RebindToUnsigned<Lanes> du;
    for (const NotFinite& element : not_finite_) {
      if (element.key >= keys) continue;
      for (size_t lane = 0; lane < pair_tile; lane += hn::Lanes(d)) {
        const auto pair = hn::BitCast(du, hn::Load(d, pairs + element.key / 2 * pair_tile + lane));
        const Vector p =
            hn::BitCast(d, element.key % 2 == 0 ? hn::ShiftLeft<16>(pair)
                                                : hn::And(pair, hn::Set(du, 0xFFFF0000U)));
        float* at = o + element.column * pair_tile + lane;
        const Vector before = hn::Load(d, at);
        Vector sum = hn::MulAdd(p, hn::Set(d, element.value), before);
        if (sees != nullptr) {
          const Vector seen = hn::Load(d, sees + element.key * pair_tile + lane);
          sum = hn::IfThenElse(hn::Eq(seen, hn::Zero(d)), before, sum);
        }
        hn::Store(sum, d, at);
      }
    }
  }

  /// Eight elements, zeros after the first `count`.
  static hn::Vec<hn::FixedTag<std::int16_t, 8>> load_some(const std::uint16_t* from,
                                                          std::int64_t count) {
    const hn::FixedTag<std::int16_t, 8> d;
    if (count >= 8) return hn::LoadU(d, reinterpret_cast<const std::int16_t*>(from));
    alignas(16) std::int16_t values[8] = {};
    std::copy_n(from, count, values);
    return hn::Load(d, values);
  }

  /// 8 x 8 elements: three rounds that each interleave rows i and i + 4.
  static void transpose(hn::Vec<hn::FixedTag<std::int16_t, 8>> (&rows)[8]) {
    const hn::FixedTag<std::int16_t, 8> d;
    for (int round = 0; round < 3; ++round) {
      hn::Vec<decltype(d)> next[8];
      for (int i = 0; i < 4; ++i) {
        next[2 * i] = hn::InterleaveLower(d, rows[i], rows[i + 4]);
        next[2 * i + 1] = hn::InterleaveUpper(d, rows[i], rows[i + 4]);
      }
      std::copy_n(next, 8, rows);
    }
  }

  /// Turns the rows of p into pairs of rows, in place, each value rounded to the nearest bf16 (ties
  /// to even), and zeros after the last up to a multiple of pair_tile.
  static void round_to_pairs(float* p, size_t keys) {
    const Lanes d;
    const hn::RebindToUnsigned<Lanes> du;
    const auto rounded = [&](Vector x) {
      // A NaN that comes from bf16 has 16 low bits of zero, which keep it from overflowing.
      const auto bits = hn::BitCast(du, x);
      const auto is_odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
      return hn::Add(bits, hn::Add(is_odd, hn::Set(du, 0x7FFF)));
    };
    for (size_t lane = 0; lane < block_lanes(); lane += hn::Lanes(d)) {
      for (size_t key = 0; key < hwy::RoundUpTo(keys, pair_tile); key += 2) {
        const float* from = p + key * block_lanes() + lane;
        const Vector even = key < keys ? hn::Load(d, from) : hn::Zero(d);
        const Vector odd = key + 1 < keys ? hn::Load(d, from + block_lanes()) : hn::Zero(d);
        const auto pair = hn::Or(hn::ShiftRight<16>(rounded(even)),
                                 hn::And(rounded(odd), hn::Set(du, 0xFFFF0000U)));
        hn::Store(hn::BitCast(d, pair), d, p + key / 2 * block_lanes() + lane);
      }
    }
  }

  const Problem& problem_;
  const ForwardCall& call_;
  KvHead<std::uint16_t> k_head_, v_head_;
  const size_t dim_, keys_;            // head_dim and tile_kv, rounded up
  Buffer<std::uint16_t> q_;            // [block][dim_ / 2][row][2]
  Buffer<std::uint16_t> k_;            // [key][dim_]
  Buffer<std::uint16_t> v_;            // [v_head_dim][keys_]
  std::vector<NotFinite> not_finite_;  // of the values, which have zeros in their place
};

#else

using PairOperands = FloatOperands<hwy::bfloat16_t>;

#endif

}  // namespace HWY_NAMESPACE
}  // namespace streamattn
HWY_AFTER_NAMESPACE();

#endif
