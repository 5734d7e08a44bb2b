// One compiled kernel as a file: a header, tagged metadata and the cubin, under one checksum.
//
//   offset  size  little-endian
//        0     8  magic 89 'S' 'A' 'K' 0D 0A 1A 0A
//        8   2+2  major (another one is a miss), minor (unknown metadata is skipped)
//       12     4  flags: 4 the metadata has the source text (1 and 2 are kept for a compressed
//                 payload and for debug code)
//       16     4  metadata length, at most 256 KiB
//       20     4  0
//       24     8  cubin length, at most 64 MiB; header, metadata and cubin fill the file
//       32    32  key, as in the file name
//       64    32  BLAKE3 of everything but this field
//       96    32  0
//      128        metadata: u16 tag, u16 flags, u32 length, bytes; then the cubin
//
// No host, user or path is stored, and nothing stored is ever run as a command or used as a path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/cache/kernel_key.h"
#include "streamattn/compiler.h"

namespace streamattn {

/// A kernel and what is known about how it was made.
struct CacheEntry {
  KernelKey key;
  Binary binary;
  std::string entry;                 ///< Source::entry
  std::string target;                ///< Source::target
  std::string text;                  ///< Source::text
  std::vector<std::string> options;  ///< given to the compiler
  std::string compiler;              ///< its identity
  std::string producer;              ///< the library that wrote the file
  std::uint64_t created = 0;         ///< seconds since 1970
};

/// No entry file is larger.
constexpr std::size_t max_entry_bytes = 128 + (256u << 10) + (64u << 20);

/// The file's bytes. Nothing if the metadata or the cubin is over its limit.
std::optional<std::string> encode(const CacheEntry& entry);

/// What a file held.
struct DecodedEntry {
  std::optional<CacheEntry> entry;
  std::string problem;   ///< if there is no entry: what was found and what is needed
  bool damaged = false;  ///< nobody can use the file; else another version of the library may
};

/// Verifies and reads the bytes of the file named after `key`. Any bytes are safe to give.
DecodedEntry decode(std::string_view bytes, const KernelKey& key);

}  // namespace streamattn
