// Stands before the C library's file functions: a program's own definition of a name wins.
#include "tests/cache/faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

namespace {

std::atomic<int> calls_left = 0;  // until the one that fails; 0 or less: none will
std::atomic<bool> happened = false;
std::atomic<int> fault_error = 0;

bool fails() {
  if (calls_left <= 0) return false;
  --calls_left;
  if (calls_left != 0) return false;
  happened = true;
  errno = fault_error;
  return true;
}

template <class Function>
Function* real(Function*, const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

#define REAL(function) real(&::function, #function)

extern "C" {

int openat(int dir, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return fails() ? -1 : REAL(openat)(dir, path, flags, mode);
}

ssize_t read(int fd, void* bytes, size_t size) {
  return fails() ? -1 : REAL(read)(fd, bytes, size);
}

// A failed write has written some of its bytes, as on a disk that fills up; an interrupted one
// none.
ssize_t write(int fd, const void* bytes, size_t size) {
  if (!fails()) return REAL(write)(fd, bytes, size);
  if (fault_error != EINTR) {
    [[maybe_unused]] const ssize_t part = REAL(write)(fd, bytes, size / 2);
    errno = fault_error;
  }
  return -1;
}

// As on NFS: the file is closed, but its bytes did not reach the server.
int close(int fd) {
  const int result = REAL(close)(fd);
  return fails() ? -1 : result;
}

int fallocate(int fd, int mode, off_t offset, off_t size) {
  return fails() ? -1 : REAL(fallocate)(fd, mode, offset, size);
}

int fdatasync(int fd) { return fails() ? -1 : REAL(fdatasync)(fd); }

int renameat(int from_dir, const char* from, int to_dir, const char* to) noexcept {
  return fails() ? -1 : REAL(renameat)(from_dir, from, to_dir, to);
}

int renameat2(int from_dir, const char* from, int to_dir, const char* to, unsigned flags) noexcept {
  return fails() ? -1 : REAL(renameat2)(from_dir, from, to_dir, to, flags);
}

int unlinkat(int dir, const char* path, int flags) noexcept {
  return fails() ? -1 : REAL(unlinkat)(dir, path, flags);
}

int mkdirat(int dir, const char* path, mode_t mode) noexcept {
  return fails() ? -1 : REAL(mkdirat)(dir, path, mode);
}

int fstat(int fd, struct stat* status) noexcept { return fails() ? -1 : REAL(fstat)(fd, status); }

int flock(int fd, int operation) noexcept { return fails() ? -1 : REAL(flock)(fd, operation); }

}  // extern "C"

namespace streamattn {

void arm_fault(int call, int error) {
  happened = false;
  fault_error = error;
  calls_left = call;
}

bool disarm_fault() {
  calls_left = 0;
  return happened;
}

}  // namespace streamattn
