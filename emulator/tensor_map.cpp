// Encoding of tensor maps, and the addresses of a box.
#include "emulator/tensor_map.h"

#include <algorithm>
#include <cstring>

#include "emulator/violation.h"

namespace streamattn::emulator {
namespace {

constexpr std::uint64_t magic = 0x70616D2D756D6521;  // tells our maps from unset ones

struct Encoded {
  std::uint64_t magic;
  BoxedTensor tensor;
};
static_assert(sizeof(Encoded) <= sizeof(TensorMap));

}  // namespace

TensorMap encode(const char* /*name*/, const BoxedTensor& tensor) {
  const Encoded encoded{magic, tensor};
  TensorMap map = {};
  std::memcpy(&map, &encoded, sizeof(encoded));
  return map;
}

BoxedTensor decode(const TensorMap& map) {
  Encoded encoded;
  std::memcpy(static_cast<void*>(&encoded), &map, sizeof(encoded));
  if (encoded.magic != magic) violate("uses a tensor map that was never encoded");
  return encoded.tensor;
}

Box::Box(const BoxedTensor& tensor, const int (&at)[4])
    : tensor_(tensor), at_{at[0], at[1], at[2], at[3]} {
  if (at[0] < 0)
    violate("moves a box that begins at column {0}, which the emulator does not model", at[0]);
}

int Box::bytes(int r) const {
  auto inside = [&](int i, int value) {
    return value >= 0 && static_cast<std::uint64_t>(value) < tensor_.dims[i];
  };
  if (!inside(0, at_[0]) || !inside(1, row(r)) || !inside(2, plane(r)) || !inside(3, at_[3]))
    return 0;
  const std::uint64_t columns = tensor_.dims[0] - static_cast<std::uint64_t>(at_[0]);
  return static_cast<int>(std::min<std::uint64_t>(columns * 2, span()));
}

int Box::piece_bytes(int r, int piece) const { return std::clamp(bytes(r) - piece * 16, 0, 16); }

char* Box::address(int r) const {
  return static_cast<char*>(tensor_.data) + at_[0] * 2LL +
         row(r) * static_cast<std::int64_t>(tensor_.byte_strides[0]) +
         plane(r) * static_cast<std::int64_t>(tensor_.byte_strides[1]) +
         at_[3] * static_cast<std::int64_t>(tensor_.byte_strides[2]);
}

}  // namespace streamattn::emulator
