// Matrix operands of wgmma in shared memory, found through descriptors (PTX ISA 9.7.15.5.1).
#pragma once

#include <cstdint>

#include "emulator/shared_memory.h"

namespace streamattn::emulator {

/// The rows of an operand: `rows` rows of `pieces` times 16 bytes. K-major: rows are M or N, and
/// the two pieces of a row are one k16 step. MN-major: rows are k, pieces run along M or N.
class Operand {
 public:
  /// Throws Violation for a layout that does not exist or is not modelled (without swizzle).
  Operand(std::uint64_t descriptor, int first_row, int rows, int pieces, int first_piece = 0);

  int rows() const { return rows_; }
  int pieces() const { return pieces_; }

  /// Where the piece is in shared memory.
  unsigned shared_address(int row, int piece) const;

  /// Records that `access` reads the operand. Throws Violation where that is not allowed yet, and
  /// where the bytes are of another row or column of the tensor than the descriptor's walk through
  /// memory takes them for.
  void read(SharedMemory& memory, const Clock& clock, const Access& access) const;

  /// Elements as floats: element e of a row is at to[row * row_stride + e * element_stride].
  void decode(SharedMemory& memory, bool bf16, float* to, int row_stride, int element_stride) const;

 private:
  unsigned start_, leading_, stride_, span_;
  int first_row_, rows_, pieces_, first_piece_;
};

}  // namespace streamattn::emulator
