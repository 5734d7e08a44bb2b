// The kernel cache as it lies on disk:
//
//   <root>/CACHEDIR.TAG                    backup programs leave the folder out
//   <root>/k1/entries/llvmcache-<key>      one kernel each; complete or absent, never modified
//   <root>/k1/tmp/                         files being written
//   <root>/k1/bad/<key>.<n>                at most eight damaged files, for a look
//   <root>/stats/<00..0f>.txt              counters, one shard per process id
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/cache/counters.h"
#include "runtime/cache/kernel_key.h"
#include "support/files.h"

namespace streamattn {

/// An open cache directory whose every part only root and this user can change.
class CacheDirectory {
 public:
  struct Opened {
    std::shared_ptr<const CacheDirectory> directory;
    int error = 0;        ///< errno; ENOENT where nothing was cached yet, EPERM where it is refused
    std::string problem;  ///< names the component
  };

  /// `create` makes what is missing and removes what dead processes were writing; only then can the
  /// directory be written to.
  static Opened open(const std::filesystem::path& root, bool create);

  bool can_write() const { return static_cast<bool>(temporary_); }

  FileContent read(const KernelKey& key) const;

  /// 0, EEXIST where the entry is there already, or another errno.
  int publish(const KernelKey& key, std::string_view bytes) const;

  /// Takes an entry out of use: into bad/ or, once that is full, away.
  void quarantine(const KernelKey& key) const;

  struct EntryFile {
    KernelKey key;
    std::uint64_t bytes;
  };
  std::vector<EntryFile> entries() const;

  /// Files being written or left by a killed process, and files in quarantine.
  std::size_t temporary_count() const;
  std::size_t quarantined_count() const;

  /// Adds to the stored counters; dropped where that cannot be done without waiting.
  void add_counters(const CacheCounters& counters) const;
  CacheCounters counters() const;

  /// The same for every path that leads to this directory.
  std::string identity() const;

 private:
  CacheDirectory() = default;

  std::string temporary_name() const;
  void sweep() const;

  FileDescriptor root_;
  FileDescriptor generation_;
  FileDescriptor entries_;
  FileDescriptor temporary_;
};

/// Removes every entry of the cache at `root`, whole generations at a time so that readers see each
/// entry or none. Returns how many entries there were. Throws Error (cache_refused, cache_io).
std::size_t clear_cache(const std::filesystem::path& root);

}  // namespace streamattn
