// Little-endian integers in byte strings, for everything that is hashed or stored.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace streamattn {

template <std::unsigned_integral Integer>
void append_little_endian(std::string& bytes, Integer value) {
  for (std::size_t byte = 0; byte < sizeof(Integer); ++byte) {
    bytes += static_cast<char>(value >> (8 * byte) & 0xff);
  }
}

/// The integer at `offset`, which must leave room for it.
template <std::unsigned_integral Integer>
Integer read_little_endian(std::string_view bytes, std::size_t offset) {
  std::uint64_t value = 0;
  for (std::size_t byte = 0; byte < sizeof(Integer); ++byte) {
    value |= std::uint64_t{static_cast<unsigned char>(bytes[offset + byte])} << (8 * byte);
  }
  return static_cast<Integer>(value);
}

}  // namespace streamattn
