// Tensor maps of the emulator: what the driver would encode, in the clear.
#pragma once

#include "compiler/tensor_map.h"
#include "templates/params.h"

namespace streamattn::emulator {

/// A tensor map that holds `tensor` itself.
TensorMap encode(const char* name, const BoxedTensor& tensor);

/// What encode() was given. Throws Violation for anything else, such as a map that was never set.
BoxedTensor decode(const TensorMap& map);

/// The box of a tensor at an element, by the order of its dimensions, in pieces of 16 bytes. Its
/// planes follow each other row by row.
class Box {
 public:
  /// Throws Violation for a box that begins in front of the first column: not modelled.
  Box(const BoxedTensor& tensor, const int (&at)[4]);

  int rows() const { return tensor_.rows * tensor_.planes; }
  int pieces() const { return span() / 16; }  // of a row
  int bytes() const { return rows() * span(); }
  int row(int r) const { return at_[1] + r % tensor_.rows; }
  int plane(int r) const { return at_[2] + r / tensor_.rows; }
  /// Counts on from box to box of a tile.
  int running_row(int r) const { return r + (tensor_.planes == 1 ? at_[1] : at_[2] * rows()); }
  int column(int piece) const { return at_[0] + piece * 8; }
  int entry() const { return at_[3]; }

  /// Where the piece is in the shared memory of a box at `base`: swizzled by the address, over the
  /// span of a row.
  unsigned shared_address(unsigned base, int r, int piece) const {
    unsigned address = base + static_cast<unsigned>(r * span() + piece * 16);
    return address ^ ((address >> 3) & static_cast<unsigned>(span() - 16));
  }

  /// Bytes of a row, and of a piece, that exist: those in the tensor.
  int bytes(int r) const;
  int piece_bytes(int r, int piece) const;

  /// Where the row begins in global memory.
  char* address(int r) const;

 private:
  int span() const { return tensor_.columns * 2; }

  BoxedTensor tensor_;
  int at_[4];
};

}  // namespace streamattn::emulator
