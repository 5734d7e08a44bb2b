// The file format of one kernel: what is written is read, and nothing else is.
#include "runtime/cache/entry.h"

#include <cstring>
#include <random>

#include "support/bytes.h"
#include "support/hash.h"
#include "tests/support/catch.h"
#include "tests/support/fake_kernel.h"

using namespace streamattn;

namespace {

CacheEntry sample_entry(std::uint64_t seed, std::size_t code_bytes = 600) {
  const FakeKernel kernel(seed, code_bytes);
  return {.key = kernel.key,
          .binary = kernel.binary,
          .entry = kernel.source.entry,
          .target = std::string(kernel.source.target),
          .text = kernel.source.text,
          .options = {"-arch=sm_90a", "", "--std=c++20"},
          .compiler = "build-id:1234",
          .producer = "streamattn test",
          .created = 1'700'000'000 + seed};
}

// Recomputes the checksum over bytes that a test has changed.
void seal(std::string& bytes) {
  const Digest sum = digest(bytes.substr(0, 64) + bytes.substr(96));
  std::memcpy(bytes.data() + 64, sum.data(), sum.size());
}

void put(std::string& bytes, std::size_t offset, std::string_view value) {
  std::memcpy(bytes.data() + offset, value.data(), value.size());
}

bool same(const Resources& a, const Resources& b) { return std::memcmp(&a, &b, sizeof a) == 0; }

}  // namespace

TEST_CASE("an entry is read as it was written") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const CacheEntry entry = sample_entry(seed, 1 + seed * 1000);
    const DecodedEntry decoded = decode(encode(entry).value(), entry.key);
    REQUIRE(decoded.entry);
    CHECK(decoded.problem.empty());
    CHECK(decoded.entry->key == entry.key);
    CHECK(decoded.entry->binary.cubin == entry.binary.cubin);
    CHECK(same(decoded.entry->binary.resources, entry.binary.resources));
    CHECK(decoded.entry->binary.advisories == entry.binary.advisories);
    CHECK(decoded.entry->binary.compile_milliseconds == entry.binary.compile_milliseconds);
    CHECK(decoded.entry->entry == entry.entry);
    CHECK(decoded.entry->target == entry.target);
    CHECK(decoded.entry->text == entry.text);
    CHECK(decoded.entry->options == entry.options);
    CHECK(decoded.entry->compiler == entry.compiler);
    CHECK(decoded.entry->producer == entry.producer);
    CHECK(decoded.entry->created == entry.created);
  }
}

TEST_CASE("the header has its fields where the format says") {
  const CacheEntry entry = sample_entry(1);
  const std::string bytes = encode(entry).value();
  CHECK(bytes.substr(0, 8) == "\x89SAK\r\n\x1a\n");
  CHECK(read_little_endian<std::uint16_t>(bytes, 8) == 1);
  CHECK(read_little_endian<std::uint16_t>(bytes, 10) == 0);
  CHECK(read_little_endian<std::uint32_t>(bytes, 12) == 4);
  CHECK(read_little_endian<std::uint64_t>(bytes, 24) == entry.binary.cubin.size());
  CHECK(128 + read_little_endian<std::uint32_t>(bytes, 16) + entry.binary.cubin.size() ==
        bytes.size());
  CHECK(std::memcmp(bytes.data() + 32, entry.key.bytes.data(), 32) == 0);
  CHECK(bytes.substr(96, 32) == std::string(32, '\0'));
  CHECK(bytes.ends_with(entry.binary.cubin));
}

TEST_CASE("every flipped bit is damage") {
  const CacheEntry entry = sample_entry(2);
  std::string bytes = encode(entry).value();
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    const auto flip = static_cast<char>(1 << bit % 8);
    bytes[bit / 8] ^= flip;
    const DecodedEntry decoded = decode(bytes, entry.key);
    if (decoded.entry || !decoded.damaged) FAIL("bit " << bit << " was not noticed");
    bytes[bit / 8] ^= flip;
  }
  CHECK(decode(bytes, entry.key).entry);
}

TEST_CASE("every truncation and every extension is damage") {
  const CacheEntry entry = sample_entry(3);
  const std::string bytes = encode(entry).value();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    if (!decode(bytes.substr(0, size), entry.key).damaged) FAIL("size " << size);
  }
  CHECK(decode(bytes + '\0', entry.key).damaged);
  CHECK(decode("", entry.key).problem == "has 0 bytes, its header alone needs 128");
}

TEST_CASE("each kind of damage is told by name") {
  const CacheEntry entry = sample_entry(4);
  const std::string sound = encode(entry).value();
  const auto problem = [&](std::size_t offset, std::string_view value) {
    std::string bytes = sound;
    put(bytes, offset, value);
    seal(bytes);
    const DecodedEntry decoded = decode(bytes, entry.key);
    CHECK_FALSE(decoded.entry);
    CHECK(decoded.damaged);
    return decoded.problem;
  };
  CHECK(problem(0, "x") == "is not a kernel file");
  CHECK(problem(40, "x") == "holds another key than its name says");
  CHECK(problem(16, std::string(4, '\xff')) == "has lengths that do not add up to its size");
  CHECK(problem(24, std::string(8, '\xff')) == "has lengths that do not add up to its size");
  CHECK(problem(24, std::string(8, '\0')) == "has lengths that do not add up to its size");
  // The length of the first metadata field.
  CHECK(problem(132, std::string(4, '\xff')) == "has malformed metadata");
  std::string bytes = sound;
  bytes.back() ^= 1;
  CHECK(decode(bytes, entry.key).problem == "does not match its checksum");
}

TEST_CASE("the entry of another key is damage under this name") {
  const CacheEntry entry = sample_entry(5);
  CHECK(decode(encode(entry).value(), sample_entry(6).key).damaged);
}

TEST_CASE("an entry of another major version is a miss but no damage") {
  const CacheEntry entry = sample_entry(7);
  std::string bytes = encode(entry).value();
  put(bytes, 8, "\x02");
  seal(bytes);
  const DecodedEntry decoded = decode(bytes, entry.key);
  CHECK_FALSE(decoded.entry);
  CHECK_FALSE(decoded.damaged);
  CHECK(decoded.problem == "has format 2, 1 is needed");
}

TEST_CASE("an entry of a later minor version is read, and what it adds is skipped") {
  const CacheEntry entry = sample_entry(8);
  std::string bytes = encode(entry).value();
  const auto metadata_size = read_little_endian<std::uint32_t>(bytes, 16);
  std::string extra;
  append_little_endian(extra, std::uint16_t{999});
  append_little_endian(extra, std::uint16_t{7});
  append_little_endian(extra, std::uint32_t{5});
  extra += "later";
  bytes.insert(128 + metadata_size, extra);
  std::string size;
  append_little_endian(size, static_cast<std::uint32_t>(metadata_size + extra.size()));
  put(bytes, 16, size);
  put(bytes, 10, "\x09");
  seal(bytes);
  const DecodedEntry decoded = decode(bytes, entry.key);
  REQUIRE(decoded.entry);
  CHECK(decoded.entry->binary.cubin == entry.binary.cubin);
  CHECK(decoded.entry->text == entry.text);
}

TEST_CASE("sealed nonsense is read without harm") {
  const CacheEntry entry = sample_entry(9);
  const std::string sound = encode(entry).value();
  std::mt19937_64 random(10);
  int read = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = sound;
    for (int changes = 0; changes < 4; ++changes) {
      // Metadata and its length, where parsing happens behind the checksum.
      const std::size_t offset = changes == 0 ? 16 + random() % 4 : 128 + random() % 400;
      bytes[offset] = static_cast<char>(random() % 3 ? random() % 8 : random());
    }
    seal(bytes);
    const DecodedEntry decoded = decode(bytes, entry.key);
    CHECK((decoded.entry.has_value() || decoded.damaged));
    read += decoded.entry.has_value();
  }
  CHECK(read > 0);
}

TEST_CASE("what is over the limits is not written") {
  CacheEntry entry = sample_entry(11);
  entry.text = std::string(256 << 10, 'x');
  CHECK_FALSE(encode(entry));
  entry = sample_entry(11);
  entry.binary.cubin.resize((64u << 20) + 1);
  CHECK_FALSE(encode(entry));
}
