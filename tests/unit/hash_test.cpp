// Digests, field hashing and base32.
#include "support/hash.h"

#include <llvm/ADT/StringExtras.h>

#include <random>

#include "support/bytes.h"
#include "tests/support/catch.h"

using namespace streamattn;

namespace {

std::string hex(const Digest& digest) { return llvm::toHex(digest, true); }

Digest random_digest(std::mt19937_64& random) {
  Digest digest;
  for (auto& byte : digest) byte = static_cast<std::uint8_t>(random());
  return digest;
}

}  // namespace

TEST_CASE("a digest is BLAKE3-256") {
  // From the test vectors of the BLAKE3 specification: the empty input and the byte 0.
  CHECK(hex(digest("")) == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
  CHECK(hex(digest(std::string_view("\0", 1))) ==
        "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213");
}

TEST_CASE("hashing fields is hashing their written form") {
  FieldHasher hasher("domain");
  hasher.add(1, "abc");
  hasher.add(0x0203, "");
  const std::string written("domain\0\1\0\3\0\0\0abc\3\2\0\0\0\0", 22);
  CHECK(hasher.digest() == digest(written));
}

TEST_CASE("fields that join to the same bytes have different hashes") {
  const auto hash = [](std::initializer_list<std::string_view> fields, std::uint16_t tag) {
    FieldHasher hasher("domain");
    for (const auto field : fields) hasher.add(tag, field);
    return hasher.digest();
  };
  CHECK(hash({"ab", "c"}, 1) != hash({"a", "bc"}, 1));
  CHECK(hash({"abc"}, 1) != hash({"abc", ""}, 1));
  CHECK(hash({"abc"}, 1) != hash({"abc"}, 2));
  CHECK(FieldHasher("a").digest() != FieldHasher("b").digest());
}

TEST_CASE("base32 is that of RFC 4648 in lower case without padding") {
  Digest counting;
  for (std::size_t i = 0; i < counting.size(); ++i) counting[i] = static_cast<std::uint8_t>(i);
  // printf of the bytes 0 to 31 | base32 | tr -d = | tr A-Z a-z
  CHECK(base32(counting) == "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq");
  CHECK(base32(Digest{}) == std::string(52, 'a'));
}

TEST_CASE("base32 text leads back to its digest") {
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) {
    const Digest digest = random_digest(random);
    REQUIRE(parse_base32(base32(digest)) == digest);
  }
}

TEST_CASE("a digest has one base32 text only") {
  const std::string text = base32(Digest{});
  CHECK_FALSE(parse_base32(text.substr(1)));
  CHECK_FALSE(parse_base32(text + "a"));
  CHECK_FALSE(parse_base32(""));
  CHECK_FALSE(parse_base32("A" + text.substr(1)));
  CHECK_FALSE(parse_base32("1" + text.substr(1)));
  // The last character has one bit of the digest; its other four must be zero.
  CHECK(parse_base32(text.substr(1) + "q"));
  CHECK_FALSE(parse_base32(text.substr(1) + "b"));
}

TEST_CASE("little-endian integers are read as they were written") {
  std::string bytes;
  append_little_endian(bytes, std::uint16_t{0x0102});
  append_little_endian(bytes, std::uint32_t{0xf3f4f5f6});
  append_little_endian(bytes, std::uint64_t{0xf1f2f3f4f5f6f7f8});
  CHECK(bytes.substr(0, 2) == "\x02\x01");
  CHECK(read_little_endian<std::uint16_t>(bytes, 0) == 0x0102);
  CHECK(read_little_endian<std::uint32_t>(bytes, 2) == 0xf3f4f5f6);
  CHECK(read_little_endian<std::uint64_t>(bytes, 6) == 0xf1f2f3f4f5f6f7f8);
}
