// A tensor in host memory with a layout, and poison wherever no element lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compiler/operations/forward/sequences.h"
#include "measure/random_inputs.h"
#include "streamattn/dtype.h"
#include "streamattn/tensor.h"

namespace streamattn {

enum class Layout {
  bshd,    ///< [batch, seq, heads, dim]
  bhsd,    ///< [batch, heads, seq, dim]
  sbhd,    ///< [seq, batch, heads, dim]
  padded,  ///< [batch, heads, seq, dim] with a gap of 16 bytes or more after every row
  sparse,  ///< [heads, seq, batch, dim] that starts at the second element, gaps of one element
};

/// The enumerator's name.
const char* name(Layout layout);

/// Sizes of a tensor, in the order of Tensor.
struct Sizes {
  std::int64_t batch, seq, heads, dim;
};

class HostTensor {
 public:
  static constexpr std::byte poison_byte{0xFF};  ///< of every byte: a NaN of every type

  /// Poisoned all over. `gap` elements more lie between the rows. Throws Error (invalid_argument)
  /// where this machine has not the memory.
  HostTensor(DType type, const Sizes& sizes, Layout layout, std::int64_t gap = 0);
  HostTensor(HostTensor&&) = default;

  /// Gives element (b, s, h, d) the value number ((b * seq + s) * heads + h) * dim + d of the
  /// random sequence, so that equal seeds give equal tensors in every layout.
  void fill(std::uint64_t seed, Distribution distribution = Distribution::normal);

  /// The same for the heads of one row, as if it were row `row` counted over the whole batch.
  void fill_row(std::int64_t batch, std::int64_t seq, std::int64_t row, std::uint64_t seed,
                Distribution distribution);

  /// Poisons rows [rows.begin, rows.end) of all heads.
  void poison(Rows rows);

  /// Whether every byte is poison, but for the elements of rows [rows.begin, rows.end).
  bool is_poison_outside(Rows rows) const;
  bool is_poison_but_for(std::span<const SequenceRows> rows) const;

  /// The view of this memory, or of a copy of bytes() at `memory`.
  Tensor view() const { return view_; }
  Tensor view_at(void* memory) const;

  DType type() const { return type_; }
  std::span<std::byte> bytes() { return storage_; }
  std::span<const std::byte> bytes() const { return storage_; }

 private:
  /// Where a row begins in the memory, in bytes.
  std::int64_t row_offset(std::int64_t batch, std::int64_t seq, std::int64_t head) const;

  void poison(const SequenceRows& rows, std::vector<std::byte>& storage) const;

  DType type_;
  std::int64_t first_element_;  ///< from the start of the memory
  std::vector<std::byte> storage_;
  Tensor view_;
};

}  // namespace streamattn
