// Finds a place for lock files and takes them.
#include "runtime/cache/locks.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
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

FileDescriptor open_lock_directory(const std::string& cache) {
  for (const Place& place : places()) {
    if (!place.base.is_absolute()) continue;
    const OpenedDirectory base = open_trusted_directory(place.base, false);
    if (!base.fd) continue;
    const OpenedDirectory ours = open_private_directory(base.fd.get(), place.name, true);
    if (!ours.fd) continue;
    OpenedDirectory directory = open_private_directory(ours.fd.get(), cache, true);
    if (directory.fd) return std::move(directory.fd);
  }
  return {};
}

}  // namespace

FileLock::FileLock(FileDescriptor file) : file_(std::move(file)), holder_(::getpid()) {}

FileLock::~FileLock() {
  // Unlocked by name: a child that was forked meanwhile has the descriptor too, and closing ours
  // would leave it holding the lock. The child itself must not unlock what is its parent's.
  if (file_ && holder_ == ::getpid()) ::flock(file_.get(), LOCK_UN);
}

CacheLocks::CacheLocks(const std::string& cache) : directory_(open_lock_directory(cache)) {}

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
