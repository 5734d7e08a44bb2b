// Finds a place for lock files and takes them.
#include "runtime/cache/locks.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

#include "support/environment.h"

namespace streamattn {
namespace {

struct Place {
  std::filesystem::path base;  // must be there
  std::string name;
};

std::vector<Place> places() {
  const std::string uid = std::to_string(::geteuid());
  const auto runtime = environment("XDG_RUNTIME_DIR");
  const auto temporary = environment("TMPDIR");
  return {{runtime.value_or("/run/user/" + uid), "streamattn"},
          {"/dev/shm", "streamattn-" + uid},
          {temporary.value_or("/tmp"), "streamattn-" + uid}};
}

bool is_still_at(int parent, const std::string& name, int directory) {
  struct stat there, here;
  return ::fstatat(parent, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
         ::fstat(directory, &here) == 0 && there.st_dev == here.st_dev &&
         there.st_ino == here.st_ino;
}

// The directory `name`, marked as in use; nothing if that cannot be done.
FileDescriptor use_directory(int parent, const std::string& name) {
  // Whoever removes it just now is done in a moment, unless it hangs. It may also be gone between
  // being made and being opened: another place then would have other locks.
  for (int attempt = 0; attempt < 1000; ++attempt) {
    OpenedDirectory opened = open_private_directory(parent, name, true);
    if (!opened.fd && opened.error != ENOENT) break;
    if (opened.fd && ::flock(opened.fd.get(), LOCK_SH | LOCK_NB) == 0 &&
        is_still_at(parent, name, opened.fd.get())) {
      return std::move(opened.fd);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return {};
}

void remove_unused(int parent, const std::string& name) {
  const OpenedDirectory opened = open_private_directory(parent, name, false);
  if (!opened.fd || ::flock(opened.fd.get(), LOCK_EX | LOCK_NB) != 0) return;
  if (!is_still_at(parent, name, opened.fd.get())) return;  // somebody was faster
  for (const std::string& lock : list_directory(opened.fd.get())) {
    ::unlinkat(opened.fd.get(), lock.c_str(), 0);
  }
  ::unlinkat(parent, name.c_str(), AT_REMOVEDIR);
}

}  // namespace

FileLock::FileLock(FileDescriptor file) : file_(std::move(file)), holder_(::getpid()) {}

FileLock::~FileLock() {
  // Unlocked by name: a child that was forked meanwhile has the descriptor too, and closing ours
  // would leave it holding the lock. The child itself must not unlock what is its parent's.
  if (file_ && holder_ == ::getpid()) ::flock(file_.get(), LOCK_UN);
}

CacheLocks::CacheLocks(const std::string& cache) {
  for (const Place& place : places()) {
    if (!place.base.is_absolute()) continue;
    const OpenedDirectory base = open_trusted_directory(place.base, false);
    if (!base.fd) continue;
    OpenedDirectory ours = open_private_directory(base.fd.get(), place.name, true);
    if (!ours.fd) continue;
    directory_ = use_directory(ours.fd.get(), cache);
    if (!directory_) continue;
    all_caches_ = std::move(ours.fd);
    return;
  }
}

CacheLocks::~CacheLocks() {
  if (!directory_) return;
  ::flock(directory_.get(), LOCK_UN);  // by name, as in ~FileLock
  for (const std::string& cache : list_directory(all_caches_.get())) {
    remove_unused(all_caches_.get(), cache);
  }
}

std::optional<FileLock> CacheLocks::try_lock(const std::string& name) const {
  if (!directory_) return FileLock();
  FileDescriptor file(
      ::openat(directory_.get(), name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return FileLock();
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return FileLock(std::move(file));
  if (errno == EWOULDBLOCK) return std::nullopt;
  return FileLock();
}

}  // namespace streamattn
