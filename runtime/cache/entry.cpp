// Writes and reads entry files; the layout is in the header.
#include "runtime/cache/entry.h"

#include <bit>
#include <cstring>

#include "support/bytes.h"
#include "support/hash.h"

namespace streamattn {
namespace {

// The high bit, the line ends and the DOS end-of-file show a file that was copied as text.
constexpr std::string_view magic("\x89SAK\r\n\x1a\n", 8);
constexpr std::uint16_t major_version = 1;
constexpr std::uint16_t minor_version = 0;
constexpr std::uint32_t has_source_flag = 4;

constexpr std::size_t version_offset = 8;
constexpr std::size_t metadata_length_offset = 16;
constexpr std::size_t cubin_length_offset = 24;
constexpr std::size_t key_offset = 32;
constexpr std::size_t digest_offset = 64;
constexpr std::size_t digest_end = 96;
constexpr std::size_t header_bytes = 128;

constexpr std::size_t max_metadata_bytes = 256 << 10;
constexpr std::size_t max_cubin_bytes = 64 << 20;
static_assert(max_entry_bytes == header_bytes + max_metadata_bytes + max_cubin_bytes);

// Stored: never renumber. Lists repeat their tag.
enum Tag : std::uint16_t {
  entry_tag = 1,
  target_tag,
  text_tag,
  option_tag,
  compiler_tag,
  producer_tag,
  created_tag,
  compile_milliseconds_tag,
  advisory_tag,
  registers_tag,
  spill_store_tag,
  spill_load_tag,
  stack_tag,
  static_smem_tag,
  dynamic_smem_tag,
};

constexpr struct {
  std::uint16_t tag;
  int Resources::* value;
} resource_fields[] = {
    {registers_tag, &Resources::registers},
    {spill_store_tag, &Resources::spill_store_bytes},
    {spill_load_tag, &Resources::spill_load_bytes},
    {stack_tag, &Resources::stack_bytes},
    {static_smem_tag, &Resources::static_smem_bytes},
    {dynamic_smem_tag, &Resources::dynamic_smem_bytes},
};

void append_field(std::string& metadata, std::uint16_t tag, std::string_view bytes) {
  append_little_endian(metadata, tag);
  append_little_endian(metadata, std::uint16_t{0});
  append_little_endian(metadata, static_cast<std::uint32_t>(bytes.size()));
  metadata += bytes;
}

void append_number(std::string& metadata, std::uint16_t tag, std::uint64_t value) {
  std::string bytes;
  append_little_endian(bytes, value);
  append_field(metadata, tag, bytes);
}

std::string encode_metadata(const CacheEntry& entry) {
  std::string metadata;
  append_field(metadata, entry_tag, entry.entry);
  append_field(metadata, target_tag, entry.target);
  append_field(metadata, text_tag, entry.text);
  for (const std::string& option : entry.options) append_field(metadata, option_tag, option);
  append_field(metadata, compiler_tag, entry.compiler);
  append_field(metadata, producer_tag, entry.producer);
  append_number(metadata, created_tag, entry.created);
  append_number(metadata, compile_milliseconds_tag,
                std::bit_cast<std::uint64_t>(entry.binary.compile_milliseconds));
  for (const std::string& line : entry.binary.advisories) {
    append_field(metadata, advisory_tag, line);
  }
  for (const auto& field : resource_fields) {
    append_number(metadata, field.tag,
                  static_cast<std::uint32_t>(entry.binary.resources.*field.value));
  }
  return metadata;
}

Digest entry_digest(std::string_view bytes) {
  llvm::BLAKE3 hasher;
  hasher.update(llvm::StringRef(bytes.data(), digest_offset));
  hasher.update(llvm::StringRef(bytes.data() + digest_end, bytes.size() - digest_end));
  return hasher.final();
}

// False if the field's size is wrong for its tag. Unknown tags come from a later minor version.
bool store_field(CacheEntry& entry, std::uint16_t tag, std::string_view bytes) {
  switch (tag) {
    case entry_tag:
      return entry.entry = bytes, true;
    case target_tag:
      return entry.target = bytes, true;
    case text_tag:
      return entry.text = bytes, true;
    case option_tag:
      return entry.options.emplace_back(bytes), true;
    case compiler_tag:
      return entry.compiler = bytes, true;
    case producer_tag:
      return entry.producer = bytes, true;
    case advisory_tag:
      return entry.binary.advisories.emplace_back(bytes), true;
    default:
      break;
  }
  if (tag < created_tag || tag > dynamic_smem_tag) return true;
  if (bytes.size() != sizeof(std::uint64_t)) return false;
  const auto number = read_little_endian<std::uint64_t>(bytes, 0);
  if (tag == created_tag) entry.created = number;
  if (tag == compile_milliseconds_tag) {
    entry.binary.compile_milliseconds = std::bit_cast<double>(number);
  }
  for (const auto& field : resource_fields) {
    if (tag == field.tag) {
      entry.binary.resources.*field.value = static_cast<int>(static_cast<std::uint32_t>(number));
    }
  }
  return true;
}

bool decode_metadata(CacheEntry& entry, std::string_view metadata) {
  constexpr std::size_t head_bytes = 8;
  while (!metadata.empty()) {
    if (metadata.size() < head_bytes) return false;
    const auto tag = read_little_endian<std::uint16_t>(metadata, 0);
    const std::size_t size = read_little_endian<std::uint32_t>(metadata, 4);
    metadata.remove_prefix(head_bytes);
    if (size > metadata.size()) return false;
    if (!store_field(entry, tag, metadata.substr(0, size))) return false;
    metadata.remove_prefix(size);
  }
  return true;
}

DecodedEntry damaged(std::string problem) {
  return {.problem = std::move(problem), .damaged = true};
}

}  // namespace

std::optional<std::string> encode(const CacheEntry& entry) {
  const std::string metadata = encode_metadata(entry);
  const std::string& cubin = entry.binary.cubin;
  if (metadata.size() > max_metadata_bytes || cubin.size() > max_cubin_bytes) return std::nullopt;
  std::string bytes;
  bytes.reserve(header_bytes + metadata.size() + cubin.size());
  bytes += magic;
  append_little_endian(bytes, major_version);
  append_little_endian(bytes, minor_version);
  append_little_endian(bytes, has_source_flag);
  append_little_endian(bytes, static_cast<std::uint32_t>(metadata.size()));
  append_little_endian(bytes, std::uint32_t{0});
  append_little_endian(bytes, std::uint64_t{cubin.size()});
  bytes.append(entry.key.bytes.begin(), entry.key.bytes.end());
  bytes.resize(header_bytes, '\0');
  bytes += metadata;
  bytes += cubin;
  const Digest digest = entry_digest(bytes);
  std::memcpy(bytes.data() + digest_offset, digest.data(), digest.size());
  return bytes;
}

DecodedEntry decode(std::string_view bytes, const KernelKey& key) {
  if (bytes.size() < header_bytes) {
    return damaged("has " + std::to_string(bytes.size()) + " bytes, its header alone needs 128");
  }
  if (!bytes.starts_with(magic)) return damaged("is not a kernel file");
  // The checksum comes before the version: a version that a bit flip made up is damage.
  const Digest digest = entry_digest(bytes);
  if (std::memcmp(bytes.data() + digest_offset, digest.data(), digest.size()) != 0) {
    return damaged("does not match its checksum");
  }
  if (const auto major = read_little_endian<std::uint16_t>(bytes, version_offset);
      major != major_version) {
    return {.problem = "has format " + std::to_string(major) + ", 1 is needed"};
  }
  if (std::memcmp(bytes.data() + key_offset, key.bytes.data(), key.bytes.size()) != 0) {
    return damaged("holds another key than its name says");
  }
  const std::uint64_t metadata_size =
      read_little_endian<std::uint32_t>(bytes, metadata_length_offset);
  const auto cubin_size = read_little_endian<std::uint64_t>(bytes, cubin_length_offset);
  if (metadata_size > max_metadata_bytes || cubin_size > max_cubin_bytes || cubin_size == 0 ||
      header_bytes + metadata_size + cubin_size != bytes.size()) {
    return damaged("has lengths that do not add up to its size");
  }
  DecodedEntry decoded{.entry = CacheEntry{.key = key}};
  if (!decode_metadata(*decoded.entry, bytes.substr(header_bytes, metadata_size))) {
    return damaged("has malformed metadata");
  }
  decoded.entry->binary.cubin = bytes.substr(header_bytes + metadata_size);
  return decoded;
}

}  // namespace streamattn
