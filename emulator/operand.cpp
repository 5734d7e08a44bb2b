// Addresses, checks and decoding of wgmma operands.
#include "emulator/operand.h"

#include <cstring>

#include "emulator/violation.h"
#include "support/half.h"

namespace streamattn::emulator {
namespace {

unsigned field(std::uint64_t descriptor, int low_bit) {
  return static_cast<unsigned>(descriptor >> low_bit & 0x3FFF) << 4;
}

unsigned span(std::uint64_t descriptor) {
  constexpr unsigned spans[] = {0, 128, 64, 32};
  return spans[descriptor >> 62];
}

}  // namespace

Operand::Operand(std::uint64_t descriptor, int first_row, int rows, int pieces, int first_piece)
    : start_(field(descriptor, 0)),
      leading_(field(descriptor, 16)),
      stride_(field(descriptor, 32)),
      span_(span(descriptor)),
      first_row_(first_row),
      rows_(rows),
      pieces_(pieces),
      first_piece_(first_piece) {
  if (span_ == 0) violate("uses a descriptor without swizzle, which the emulator does not model");
  if ((descriptor >> 49 & 7) != 0)
    violate("uses a descriptor with a base offset, which the emulator does not model");
}

unsigned Operand::shared_address(int row, int piece) const {
  const auto r = static_cast<unsigned>(first_row_ + row);
  const auto byte = static_cast<unsigned>(first_piece_ + piece) * 16;
  const unsigned address =
      start_ + r / 8 * stride_ + r % 8 * span_ + byte / span_ * leading_ + byte % span_;
  return address ^ ((address >> 3) & (span_ - 16));
}

void Operand::read(SharedMemory& memory, const Clock& clock, const Access& access) const {
  const unsigned first_address = shared_address(0, 0);
  for (int r = 0; r < rows_; r++) {
    for (int p = 0; p < pieces_; p++) {
      const unsigned address = shared_address(r, p);
      memory.read(address, clock, access);
      const Origin first = memory.origin(first_address), here = memory.origin(address);
      if (here.tensor != first.tensor)
        violate(
            "reads shared address {0} as part of an operand at {1}: they are of different tiles",
            address, first_address);
      if (here.tensor != nullptr &&
          (here.row - first.row != r || here.column - first.column != 8 * p))
        violate(
            "reads shared address {0} as row {1}, column {2} of an operand; TMA wrote row {3}, "
            "column {4} there: the descriptor (swizzle {5}, stride {6}, leading {7}) does not "
            "suit the tile",
            address, r, 8 * p, here.row - first.row, here.column - first.column, span_, stride_,
            leading_);
    }
  }
}

void Operand::decode(SharedMemory& memory, bool bf16, float* to, int row_stride,
                     int element_stride) const {
  for (int r = 0; r < rows_; r++) {
    for (int p = 0; p < pieces_; p++) {
      std::uint16_t elements[8];
      std::memcpy(elements, memory.at(shared_address(r, p)), sizeof(elements));
      float* out = to + r * row_stride + 8 * p * element_stride;
      for (int e = 0; e < 8; e++)
        out[e * element_stride] = bf16 ? float_from_bf16(elements[e]) : float_from_f16(elements[e]);
    }
  }
}

}  // namespace streamattn::emulator
