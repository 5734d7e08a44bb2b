// Whole reads and all-or-nothing writes over POSIX calls.
#include "support/files.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace streamattn {
namespace {

// Worth another try: a network file system that lost its grip on a file, or a signal.
bool is_transient(int error) {
  return error == ESTALE || error == EIO || error == EAGAIN || error == EINTR;
}

FileDescriptor open_with_retries(int dir, const std::string& name, int flags) {
  for (std::chrono::milliseconds pause(1);; pause *= 10) {
    FileDescriptor file(::openat(dir, name.c_str(), flags));
    if (file || !is_transient(errno) || pause > std::chrono::milliseconds(100)) return file;
    std::this_thread::sleep_for(pause);
  }
}

// Why a file is not read; empty where it is.
using Refusal = std::string (*)(const struct stat& status, std::size_t max_bytes);

std::string refusal_of_any(const struct stat& status, std::size_t max_bytes) {
  if (!S_ISREG(status.st_mode)) return "is not a regular file";
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size > max_bytes) {
    return "has " + std::to_string(size) + " bytes, at most " + std::to_string(max_bytes) +
           " are allowed";
  }
  return {};
}

std::string refusal_of_private(const struct stat& status, std::size_t max_bytes) {
  if (!S_ISREG(status.st_mode)) return "is not a regular file";
  if (status.st_uid != ::geteuid()) {
    return "belongs to uid " + std::to_string(status.st_uid) + ", uid " +
           std::to_string(::geteuid()) + " is needed";
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH | S_ISUID | S_ISGID)) != 0) {
    return "is writable by others or runs as another";
  }
  // None at all: the file was removed just now, and what was in it is as good as before.
  if (status.st_nlink > 1) return "has " + std::to_string(status.st_nlink) + " links, not 1";
  return refusal_of_any(status, max_bytes);
}

// Until `size` bytes or the end; 0 or errno.
int read_whole(int fd, std::string& bytes, std::size_t size) {
  bytes.resize(size);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t count = ::read(fd, bytes.data() + done, size - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  bytes.resize(done);
  return 0;
}

// Non-blocking: a FIFO that somebody put there must not hang us.
constexpr int read_flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

// What is in a file that was just opened, or errno says why it was not.
FileContent read_opened(const FileDescriptor& file, std::size_t max_bytes, Refusal refusal) {
  using Status = FileContent::Status;
  const auto failed = [](int error) {
    return FileContent{.status = error == ENOENT ? Status::missing : Status::failed,
                       .problem = std::strerror(error)};
  };
  struct stat status;
  if (!file || ::fstat(file.get(), &status) != 0) return failed(errno);
  FileContent content{.problem = refusal(status, max_bytes)};
  if (!content.problem.empty()) {
    content.status = Status::refused;
    return content;
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  if (const int error = read_whole(file.get(), content.bytes, size)) return failed(error);
  return content;
}

int write_whole(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return 0;
}

// Asks for the space before it is written, so that a full disk is met early.
int reserve(int fd, std::size_t size) {
  rlimit limit;
  // Over this limit the kernel would not only fail the write but kill the process (SIGXFSZ).
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && size > limit.rlim_cur) return EFBIG;
  if (::fallocate(fd, 0, 0, static_cast<off_t>(size)) == 0) return 0;
  const bool is_optional =
      errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS || errno == EINTR;
  return is_optional ? 0 : errno;
}

int write_file(FileDescriptor file, std::string_view bytes) {
  if (const int error = reserve(file.get(), bytes.size())) return error;
  if (const int error = write_whole(file.get(), bytes)) return error;
  if (::fdatasync(file.get()) != 0) return errno;
  return file.close();
}

// To a device or a pipe, which stays what it is.
int write_to(const std::filesystem::path& path, std::string_view bytes) {
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return errno;
  if (const int error = write_whole(file.get(), bytes)) return error;
  return file.close();
}

// Not over a file that is there.
int rename_file(int from_dir, const char* from, int to_dir, const char* to) {
  if (::renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) == 0) return 0;
  // NFS and some FUSE file systems lack the flag; what is replaced there has the same meaning.
  if (errno != EINVAL && errno != ENOSYS) return errno;
  return ::renameat(from_dir, from, to_dir, to) == 0 ? 0 : errno;
}

}  // namespace

int FileDescriptor::close() {
  const int fd = std::exchange(fd_, -1);
  return fd >= 0 && ::close(fd) != 0 ? errno : 0;
}

FileContent read_private_file(int dir, const std::string& name, std::size_t max_bytes) {
  const FileDescriptor file = open_with_retries(dir, name, read_flags | O_NOFOLLOW);
  if (!file && errno == ENOTDIR) return {.status = FileContent::Status::missing};
  if (!file && errno == ELOOP) {
    return {.status = FileContent::Status::refused, .problem = "is a symbolic link"};
  }
  return read_opened(file, max_bytes, refusal_of_private);
}

FileContent read_regular_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const FileDescriptor file = open_with_retries(AT_FDCWD, path.native(), read_flags);
  return read_opened(file, max_bytes, refusal_of_any);
}

int publish_file(int temporary_dir, const std::string& temporary, int dir, const std::string& name,
                 std::string_view bytes) {
  FileDescriptor file(::openat(temporary_dir, temporary.c_str(),
                               O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return errno;
  int error = write_file(std::move(file), bytes);
  if (error == 0) error = rename_file(temporary_dir, temporary.c_str(), dir, name.c_str());
  if (error != 0) ::unlinkat(temporary_dir, temporary.c_str(), 0);
  return error;
}

int replace_file(const std::filesystem::path& given, std::string_view bytes) {
  struct stat status;
  const bool is_there = ::stat(given.c_str(), &status) == 0;
  if (is_there && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
    return write_to(given, bytes);
  std::error_code unresolved;
  const std::filesystem::path real = std::filesystem::canonical(given, unresolved);
  const std::filesystem::path& path = unresolved ? given : real;
  const std::string temporary = path.native() + "." + std::to_string(::getpid()) + ".new";
  FileDescriptor file(::open(temporary.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644));
  if (!file) return errno;
  int error = write_file(std::move(file), bytes);
  if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) ::unlink(temporary.c_str());
  return error;
}

}  // namespace streamattn
