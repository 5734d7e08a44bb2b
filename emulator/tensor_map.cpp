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
  std::memcpy(&encoded, &map, sizeof(encoded));
  if (encoded.magic != magic) violate("uses a tensor map that was never encoded");
  return encoded.tensor;
}

int Box::elements(int r, int piece) const {
  auto inside = [&](int i, int value) {
    return value >= 0 && static_cast<std::uint64_t>(value) < tensor_.dims[i];
  };
  if (!inside(0, column(piece)) || !inside(1, row(r)) || !inside(2, at_[2]) || !inside(3, at_[3]))
    return 0;
  return static_cast<int>(
      std::min<std::uint64_t>(8, tensor_.dims[0] - static_cast<std::uint64_t>(column(piece))));
}

char* Box::data(int r, int piece) const {
  return static_cast<char*>(tensor_.data) + column(piece) * 2LL +
         row(r) * static_cast<std::int64_t>(tensor_.byte_strides[0]) +
         at_[2] * static_cast<std::int64_t>(tensor_.byte_strides[1]) +
         at_[3] * static_cast<std::int64_t>(tensor_.byte_strides[2]);
}

void Box::load(int r, int piece, void* to) const {
  std::memset(to, 0, 16);
  if (int n = elements(r, piece)) std::memcpy(to, data(r, piece), static_cast<std::size_t>(n) * 2);
}

void Box::store(int r, int piece, const void* from) const {
  if (int n = elements(r, piece))
    std::memcpy(data(r, piece), from, static_cast<std::size_t>(n) * 2);
}

}  // namespace streamattn::emulator
