// The arrays of lengths and places of a case whose sequences differ, and where its rows then lie.
#pragma once

#include <cstdint>
#include <vector>

#include "measure/host_tensor.h"
#include "streamattn/forward.h"

namespace streamattn {

/// Rows of the sequences of a batch that differ in length.
struct SequenceLengths {
  std::vector<std::int64_t> q, kv;  ///< one a sequence; empty: all are as long as the shape says
  std::int64_t page_size = 16;      ///< of paged keys

  std::int64_t q_len(std::int64_t index, const Shape& shape) const {
    return q.empty() ? shape.q_len : q[index];
  }
  std::int64_t kv_len(std::int64_t index, const Shape& shape) const {
    return kv.empty() ? shape.kv_len : kv[index];
  }
};

/// Sequences lie as the problem says. Where it has lengths, packed sequences have room behind them
/// that is not theirs; pages are shuffled, more than are needed, and what no key needs of the table
/// is garbage.
class SequenceInputs {
 public:
  /// Throws Error (invalid_argument) for more rows than 32-bit lengths and offsets can say, and for
  /// more pages and sequences than this machine has memory for.
  SequenceInputs(const Problem& problem, const Shape& shape, const SequenceLengths& lengths,
                 std::uint64_t seed);

  // What it gives points into it; moving it leaves that in place.
  SequenceInputs(SequenceInputs&&) = default;

  /// Empty where sequences do not differ.
  Sequences view() const { return view_; }

  /// What tensors of q and o, and of k and v, need.
  Sizes q_sizes(std::int64_t heads, std::int64_t dim) const {
    return {q_.batch, q_.seq, heads, dim};
  }
  Sizes kv_sizes(std::int64_t heads, std::int64_t dim) const {
    return {kv_.batch, kv_.seq, heads, dim};
  }

  /// Gives row `s` of sequence `b` the values that it has in a dense tensor of the whole shape that
  /// HostTensor::fill() made; other rows stay.
  void fill_queries(HostTensor& tensor, std::uint64_t seed, Distribution distribution) const;
  void fill_keys(HostTensor& tensor, std::uint64_t seed, Distribution distribution) const;

 private:
  struct Place {
    std::int64_t batch, seq;
  };
  /// The rows of q or of k.
  struct Side {
    std::int64_t batch, seq, longest;
    std::vector<std::int64_t> lengths;
    std::vector<std::int32_t> cu_seqlens, lens;

    void pack(bool has_lens);
  };

  void page(std::int64_t page_size, std::uint64_t seed);
  Place key_place(std::int64_t index, std::int64_t key) const;

  Side q_, kv_;
  std::vector<std::int32_t> table_;
  Sequences view_;
};

}  // namespace streamattn
