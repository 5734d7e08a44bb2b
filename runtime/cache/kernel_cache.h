// Compiled kernels on disk, shared by every process of a user.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/cache/counters.h"
#include "runtime/cache/kernel_key.h"
#include "streamattn/jit.h"
#include "support/per_process.h"

namespace streamattn {

class CacheDirectory;
class CacheLocks;
class FileLock;
struct CacheEntry;

/// Where the cache is and what may be done to it.
struct CacheOptions {
  JitOptions::CacheMode mode = JitOptions::CacheMode::read_write;
  std::filesystem::path directory = {};  ///< absolute; empty: nothing is kept on disk

  /// How long one process waits for another that compiles the same kernel before it compiles the
  /// kernel itself. A holder that dies frees its lock at once, so only one that hangs costs this
  /// much; less would repeat compiles on a machine whose cores many cold processes share.
  std::chrono::milliseconds patience{10'000};
};

/// What is given, else STREAMATTN_CACHE_MODE (rw, ro, off) and STREAMATTN_CACHE_DIR, else
/// read-write in $XDG_CACHE_HOME/streamattn or $HOME/.cache/streamattn, else no directory. Throws
/// Error (invalid_config) for a bad variable, (invalid_argument) for a bad `directory`.
CacheOptions cache_options(std::optional<JitOptions::CacheMode> mode = {},
                           const std::optional<std::filesystem::path>& directory = {});

/// How a binary was made, kept beside it for people who look into the cache.
struct Provenance {
  std::vector<std::string> options;  ///< as given to kernel_key()
  std::string compiler;              ///< as given to kernel_key()
};

/// Binaries by key. Thread-safe, and usable in a forked child whatever the parent's threads were
/// doing. A problem with the cache is never the caller's: it is a miss, a counter and a log line.
/// Nothing touches the file system before the first call.
class KernelCache {
 public:
  explicit KernelCache(CacheOptions options);
  KernelCache(const KernelCache&) = delete;
  KernelCache& operator=(const KernelCache&) = delete;
  ~KernelCache();  ///< saves the counters

  /// The binary stored under `key`, after its checksum and its key were verified.
  std::optional<Binary> find(const KernelKey& key);

  /// Stores a binary unless one is there. It is visible complete or not at all. Refuses what
  /// is not a CUDA binary with the source's kernel.
  void publish(const KernelKey& key, const Source& source, const Binary& binary,
               const Provenance& provenance);

  /// find(); on a miss waits while another process of this machine compiles the same kernel, else
  /// calls `compile` and publishes what it returns. The caller gets a binary whatever happens to
  /// the cache; what `compile` throws passes through.
  Binary find_or_compile(const KernelKey& key, const Source& source, const Provenance& provenance,
                         const std::function<Binary()>& compile);

  /// The same with the key of what `provenance` returns. Where that finds no compiler (Error,
  /// nvrtc_missing), a kernel that any compiler made of this source serves; if there is none, the
  /// error says so too.
  Binary find_or_compile(const Source& source, const std::function<Provenance()>& provenance,
                         const std::function<Binary()>& compile);

  /// The kernel that some compiler made of `source`, the youngest of several. Reads every entry.
  std::optional<Binary> find_of_any_compiler(const Source& source);

  /// What this object has counted so far in this process.
  CacheCounters counters() const;

 private:
  using Counter = std::uint64_t CacheCounters::*;
  enum class Access { read, write };

  std::shared_ptr<const CacheDirectory> directory(Access access);
  const CacheLocks& locks(const CacheDirectory& directory);
  std::optional<Binary> look_up(const KernelKey& key);
  std::optional<CacheEntry> load(const CacheDirectory& directory, const KernelKey& key);
  void count_find(bool is_hit);
  void discard(const KernelKey& key, const std::string& problem);
  int write(const KernelKey& key, const std::string& bytes);
  std::optional<Binary> await_turn(const KernelKey& key, std::optional<FileLock>& lock);
  bool may_write() const;
  void note_publish(int error, const KernelKey& key, std::size_t bytes);
  void count(Counter counter, std::uint64_t amount = 1);

  /// What one process has open and has counted.
  struct Session {
    std::mutex mutex;  // guards what follows
    std::shared_ptr<const CacheDirectory> directory;
    std::unique_ptr<const CacheLocks> locks;
    std::chrono::steady_clock::time_point writes_resume{};  // later than now while the disk is full
    CacheCounters counters;
  };

  const CacheOptions options_;
  mutable PerProcess<Session> session_;
};

}  // namespace streamattn
