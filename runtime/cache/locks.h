// Locks between the processes of one machine, so that they do not repeat each other's work. They
// save time and never carry correctness: every holder may be wrong about being alone.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "support/files.h"

namespace streamattn {

/// A held flock(2), or the leave to go on without one. The kernel frees it when its holder dies.
class FileLock {
 public:
  FileLock() = default;
  explicit FileLock(FileDescriptor file);
  FileLock(FileLock&&) noexcept = default;
  FileLock& operator=(FileLock&&) noexcept = default;
  ~FileLock();

 private:
  FileDescriptor file_;
  pid_t holder_ = 0;
};

/// The lock files of one cache, in a directory of this machine's memory: locks on network file
/// systems differ in meaning. They are empty, and stay as long as anybody uses the cache, since a
/// removed lock is no lock.
class CacheLocks {
 public:
  /// `cache` names the cache that is locked. Without any usable directory every lock is free.
  explicit CacheLocks(const std::string& cache);
  CacheLocks(const CacheLocks&) = delete;
  CacheLocks& operator=(const CacheLocks&) = delete;
  ~CacheLocks();  ///< removes the files that nobody uses any more, those of other caches too

  /// Nothing if another holder, thread or process, has the lock now.
  std::optional<FileLock> try_lock(const std::string& name) const;

 private:
  FileDescriptor all_caches_;
  FileDescriptor directory_;  // with a shared lock: somebody uses it
};

}  // namespace streamattn
