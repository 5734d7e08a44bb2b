// Hashes with LLVM's BLAKE3 and spells digests.
#include "support/hash.h"

#include <cassert>
#include <limits>

#include "support/bytes.h"

namespace streamattn {
namespace {
constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz234567";
constexpr std::size_t text_length = 52;  // ceil(256 / 5)
}  // namespace

Digest digest(std::string_view bytes) {
  llvm::BLAKE3 hasher;
  hasher.update(llvm::StringRef(bytes.data(), bytes.size()));
  return hasher.final();
}

FieldHasher::FieldHasher(std::string_view domain) {
  hasher_.update(llvm::StringRef(domain.data(), domain.size()));
  hasher_.update(llvm::StringRef("", 1));
}

void FieldHasher::add(std::uint16_t tag, std::string_view bytes) {
  assert(tag >= last_tag_ && "fields are hashed in one fixed order");
  assert(bytes.size() <= std::numeric_limits<std::uint32_t>::max());
  last_tag_ = tag;
  std::string head;
  append_little_endian(head, tag);
  append_little_endian(head, static_cast<std::uint32_t>(bytes.size()));
  hasher_.update(head);
  hasher_.update(llvm::StringRef(bytes.data(), bytes.size()));
}

Digest FieldHasher::digest() const {
  // LLVM's final() leaves the hasher as it was but is not marked const.
  return llvm::BLAKE3(hasher_).final();
}

std::string base32(const Digest& digest) {
  std::string text;
  text.reserve(text_length);
  unsigned window = 0;
  int bits = 0;
  for (const std::uint8_t byte : digest) {
    window = window << 8 | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet[window >> (bits - 5) & 31];
  }
  text += alphabet[window << (5 - bits) & 31];
  return text;
}

std::optional<Digest> parse_base32(std::string_view text) {
  if (text.size() != text_length) return std::nullopt;
  Digest digest{};
  std::size_t filled = 0;
  unsigned window = 0;
  int bits = 0;
  for (const char character : text) {
    const std::size_t value = alphabet.find(character);
    if (value == std::string_view::npos) return std::nullopt;
    window = window << 5 | static_cast<unsigned>(value);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      digest[filled++] = static_cast<std::uint8_t>(window >> bits);
    }
  }
  // The last character carries one bit; a file has one name, so the other four must be zero.
  if ((window & ((1u << bits) - 1)) != 0) return std::nullopt;
  return digest;
}

}  // namespace streamattn
