// BLAKE3-256 digests, hashing of tagged fields, and their spelling in file names.
#pragma once

#include <llvm/Support/BLAKE3.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace streamattn {

using Digest = std::array<std::uint8_t, 32>;

/// The BLAKE3-256 of `bytes`.
Digest digest(std::string_view bytes);

/// Hashes a sequence of tagged byte strings so that no two different sequences hash the same input:
/// the domain and a NUL, then each field as u16 tag, u32 length (little-endian) and its bytes.
class FieldHasher {
 public:
  /// `domain` names and versions what is hashed.
  explicit FieldHasher(std::string_view domain);

  /// Tags must not decrease; a list is one tag several times. `bytes` must be under 4 GiB.
  void add(std::uint16_t tag, std::string_view bytes);

  Digest digest() const;

 private:
  llvm::BLAKE3 hasher_;
  std::uint16_t last_tag_ = 0;
};

/// RFC 4648 base32 in lower case without padding: 52 characters, legal in any file name.
std::string base32(const Digest& digest);

/// The inverse of base32(); nothing for text that it cannot have written.
std::optional<Digest> parse_base32(std::string_view text);

}  // namespace streamattn
