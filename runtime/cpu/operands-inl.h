// How a tile of the CPU target holds Q, K and V, and multiplies them: as floats, or as pairs of
// bf16 for CPUs that multiply these faster. Compiled once per instruction set, as cpu_vectors-inl.h
// is.
#if defined(STREAMATTN_CPU_OPERANDS) == defined(HWY_TARGET_TOGGLE)
#ifdef STREAMATTN_CPU_OPERANDS
#undef STREAMATTN_CPU_OPERANDS
#else
#define STREAMATTN_CPU_OPERANDS
#endif

#include <hwy/aligned_allocator.h>
#include <hwy/highway.h>

#include <algorithm>
#include <new>

#include "runtime/cpu/tile.h"
#include "runtime/cpu/vectors-inl.h"
#include "support/half.h"

HWY_BEFORE_NAMESPACE();
namespace streamattn {
namespace HWY_NAMESPACE {

template <typename T>
using Buffer = hwy::AlignedFreeUniquePtr<T[]>;

/// Throws std::bad_alloc.
template <typename T>
Buffer<T> allocate(size_t count) {
  Buffer<T> buffer = hwy::AllocateAligned<T>(count);
  if (!buffer) throw std::bad_alloc();
  return buffer;
}

template <typename T>
Buffer<T> allocate_zeros(size_t count) {
  Buffer<T> buffer = allocate<T>(count);
  std::fill_n(buffer.get(), count, T());
  return buffer;
}

/// The keys of a tile in k or v.
template <typename Element>
class KvHead {
 public:
  KvHead(const Problem& problem, const ForwardCall& call, const CpuTile& tile, const Tensor& tensor)
      : first_(static_cast<const Element*>(tensor.data) + tile.batch * tensor.batch_stride +
               tile.head_begin / problem.group_size * tensor.head_stride),
        stride_(tensor.seq_stride),
        page_stride_(tensor.batch_stride),
        pages_(call.pages) {}

  /// Where the row of a key is; null where its page was given back: it is zero.
  const Element* row(std::int64_t key) const {
    if (pages_.table == nullptr) return first_ + key * stride_;
    const std::int64_t page = pages_.table[key / pages_.size];
    if (page < 0) return nullptr;
    return first_ + page * page_stride_ + key % pages_.size * stride_;
  }

 private:
  const Element* first_;
  std::int64_t stride_, page_stride_;
  KeyPages pages_;
};

/// Rows [begin, begin + keys) of one head of k or v as dense floats. Returns whether all are
/// finite.
template <typename Element>
bool load_rows(const KvHead<Element>& head, size_t dim, DType type, std::int64_t begin,
               std::int64_t keys, float* to) {
  const Lanes d;
  const size_t lanes = hn::Lanes(d);
  Vector zeros = hn::Zero(d);  // 0 times everything, so NaN after a NaN or an infinity
  float zero = 0;
  for (std::int64_t key = begin; key < begin + keys; ++key, to += dim) {
    const Element* from = head.row(key);
    if (from == nullptr) {
      std::fill_n(to, dim, 0.0F);
      continue;
    }
    size_t i = 0;
    for (; i + lanes <= dim; i += lanes) {
      const Vector values = load_floats(from + i);
      zeros = hn::MulAdd(values, hn::Zero(d), zeros);
      hn::StoreU(values, d, to + i);
    }
    for (; i < dim; ++i) {
      to[i] = load_element(from, type, i);
      zero += to[i] * 0;
    }
  }
  return zero == 0 && hn::AllTrue(d, hn::Eq(zeros, hn::Zero(d)));
}

/// Everything as floats: any type, on any CPU. K and V stay as they lie, each value broadcast to
/// all rows, so that no head dim needs padding and nothing but Q is transposed.
template <typename Element>
class FloatOperands {
 public:
  /// Rows of scores and outputs come in multiples of this.
  static constexpr size_t row_multiple = 1;

  FloatOperands(const Problem& problem, const ForwardCall& call, const CpuTile& tile, size_t blocks,
                size_t tile_kv)
      : problem_(problem),
        call_(call),
        k_head_(problem, call, tile, call.k),
        v_head_(problem, call, tile, call.v),
        q_(allocate_zeros<float>(blocks * problem.head_dim * block_lanes())),
        k_(allocate<float>(tile_kv * problem.head_dim)),
        v_(allocate<float>(tile_kv * problem.v_head_dim())) {}

  /// Takes the query at element `offset` of q as row `row` of the tile.
  void load_query(size_t row, std::int64_t offset) {
    const size_t dim = problem_.head_dim;
    float* to = q_.get() + row / block_lanes() * dim * block_lanes() + row % block_lanes();
    for (size_t d = 0; d < dim; ++d) {
      to[d * block_lanes()] = load_element(call_.q.data, problem_.dtype, offset + d);
    }
  }

  /// Takes keys [begin, begin + keys).
  void load_keys(std::int64_t begin, std::int64_t keys) {
    load_rows(k_head_, problem_.head_dim, problem_.dtype, begin, keys, k_.get());
    v_is_finite_ = load_rows(v_head_, problem_.v_head_dim(), problem_.dtype, begin, keys, v_.get());
  }

  /// p = the scores of a block of queries and the first `keys` keys.
  void score(size_t block, size_t keys, float* p) const {
    const size_t dim = problem_.head_dim;
    const float* q = q_.get() + block * dim * block_lanes();
    multiply<false>({k_.get(), dim, 1}, keys, q, nullptr, dim, nullptr, p);
  }

  /// Whether the values that are loaded have no NaN and no infinity among them.
  bool values_are_finite() const { return v_is_finite_; }

  /// o = o * factor + P V, for the probabilities `p` of the first `keys` keys, which may be lost.
  /// Where `sees` is not null, keys count only for the rows for which it is not zero.
  void add_values(float* p, const float* sees, size_t keys, const float* factor, float* o) const {
    const size_t dim = problem_.v_head_dim();
    const Left v = {v_.get(), 1, dim};
    if (sees == nullptr) {
      multiply<false>(v, dim, p, nullptr, keys, factor, o);
    } else {
      multiply<true>(v, dim, p, sees, keys, factor, o);
    }
  }

 private:
  const Problem& problem_;
  const ForwardCall& call_;
  KvHead<Element> k_head_, v_head_;
  Buffer<float> q_;  // [block][head_dim][row]
  Buffer<float> k_;  // [key][head_dim]
  Buffer<float> v_;  // [key][v_head_dim]
  bool v_is_finite_ = true;
};

}  // namespace HWY_NAMESPACE
}  // namespace streamattn
HWY_AFTER_NAMESPACE();

#endif
