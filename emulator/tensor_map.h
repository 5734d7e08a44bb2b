// Tensor maps of the emulator: what the driver would encode, in the clear.
#pragma once

#include "compiler/tensor_map.h"
#include "templates/params.h"

namespace streamattn::emulator {

/// A tensor map that holds `tensor` itself.
TensorMap encode(const char* name, const BoxedTensor& tensor);

/// What encode() was given. Throws Violation for anything else, such as a map that was never set.
BoxedTensor decode(const TensorMap& map);

/// The box of a tensor at element (column, row, head, batch), in pieces of 16 bytes.
class Box {
 public:
  Box(const BoxedTensor& tensor, const int (&at)[4])
      : tensor_(tensor), at_{at[0], at[1], at[2], at[3]} {}

  int rows() const { return tensor_.rows; }
  int pieces() const { return span() / 16; }  // of a row
  int bytes() const { return tensor_.rows * span(); }
  int row(int r) const { return at_[1] + r; }
  int column(int piece) const { return at_[0] + piece * 8; }

  /// Where the piece is in the shared memory of a box at `base`: swizzled by the address, over the
  /// span of a row.
  unsigned shared_address(unsigned base, int r, int piece) const {
    unsigned address = base + static_cast<unsigned>(r * span() + piece * 16);
    return address ^ ((address >> 3) & static_cast<unsigned>(span() - 16));
  }

  /// Copies the piece to `to`; elements that do not exist are zero.
  void load(int r, int piece, void* to) const;

  /// Copies the elements of the piece that exist from `from`.
  void store(int r, int piece, const void* from) const;

 private:
  int span() const { return tensor_.columns * 2; }
  int elements(int r, int piece) const;  // that exist
  char* data(int r, int piece) const;

  BoxedTensor tensor_;
  int at_[4];
};

}  // namespace streamattn::emulator
