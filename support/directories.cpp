// Opens directories that nobody but root and this user can tamper with. A cached kernel reaches all
// memory of its CUDA context, so whoever can write the cache can do what this user can.
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <vector>

#include "support/files.h"

namespace streamattn {
namespace {

constexpr int max_links = 40;  // as the kernel's own limit

std::string mode_text(mode_t mode) {
  std::array<char, 8> text;
  std::snprintf(text.data(), text.size(), "%04o", mode & 07777u);
  return text.data();
}

bool is_root_or_us(uid_t uid) { return uid == 0 || uid == ::geteuid(); }

// Why `status` may not be a step of a trusted path, or nothing. Whoever owns a link decides where
// it leads; its mode means nothing.
std::string step_problem(const struct stat& status) {
  if (!S_ISDIR(status.st_mode) && !S_ISLNK(status.st_mode)) return "is not a directory";
  if (!is_root_or_us(status.st_uid)) {
    return "belongs to uid " + std::to_string(status.st_uid) + ", not to root or uid " +
           std::to_string(::geteuid());
  }
  const bool others_write = (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  if (S_ISDIR(status.st_mode) && others_write && (status.st_mode & S_ISVTX) == 0) {
    return "is writable by others (mode " + mode_text(status.st_mode) + ")";
  }
  return {};
}

std::string privacy_problem(const struct stat& status) {
  if (status.st_uid != ::geteuid()) {
    return "belongs to uid " + std::to_string(status.st_uid) + ", uid " +
           std::to_string(::geteuid()) + " is needed";
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return "is writable by others (mode " + mode_text(status.st_mode) + ", 0700 is needed)";
  }
  return {};
}

OpenedDirectory failure(const std::string& path, int error) {
  return {.error = error, .problem = path + ": " + std::strerror(error)};
}

OpenedDirectory require_private(OpenedDirectory opened, const std::string& path) {
  if (!opened.fd) return opened;
  struct stat status;
  if (::fstat(opened.fd.get(), &status) != 0) return failure(path, errno);
  const std::string problem = privacy_problem(status);
  if (!problem.empty()) return {.error = EPERM, .problem = path + " " + problem};
  return opened;
}

// Walks a path component by component and holds each one open, so that what was checked is what is
// used.
class Walk {
 public:
  explicit Walk(bool create) : create_(create) {}

  OpenedDirectory open(const std::filesystem::path& path) {
    append(path);
    if (!start()) return std::move(result_);
    while (!steps_.empty()) {
      const std::string step = std::move(steps_.back());
      steps_.pop_back();
      if (!take(step)) return std::move(result_);
    }
    // What is held so far only names the directory; reading it needs a real descriptor.
    result_.fd = FileDescriptor(::openat(at_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!result_.fd) fail(walked_, errno);
    return std::move(result_);
  }

 private:
  // Puts the components of `path` before those still to be taken.
  void append(const std::filesystem::path& path) {
    const std::vector<std::filesystem::path> parts(path.begin(), path.end());
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      if (!part->empty() && *part != "/" && *part != ".") steps_.push_back(part->string());
    }
  }

  bool start() {
    at_ = FileDescriptor(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    walked_ = "/";
    struct stat status;
    if (!at_ || ::fstat(at_.get(), &status) != 0) return fail(walked_, errno);
    return check(walked_, status);
  }

  bool take(const std::string& step) {
    FileDescriptor next = open_step(step);
    std::filesystem::path path = walked_ / step;
    struct stat status;
    if (!next || ::fstat(next.get(), &status) != 0) return fail(path, errno);
    if (!check(path, status)) return false;
    if (S_ISLNK(status.st_mode)) return follow(next, path);
    at_ = std::move(next);
    walked_ = std::move(path);
    return true;
  }

  FileDescriptor open_step(const std::string& step) {
    constexpr int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    FileDescriptor next(::openat(at_.get(), step.c_str(), flags));
    if (next || errno != ENOENT || !create_) return next;
    if (::mkdirat(at_.get(), step.c_str(), 0700) != 0 && errno != EEXIST) return next;
    return FileDescriptor(::openat(at_.get(), step.c_str(), flags));
  }

  bool follow(const FileDescriptor& link, const std::filesystem::path& path) {
    std::array<char, PATH_MAX> text;
    const ssize_t size = ::readlinkat(link.get(), "", text.data(), text.size());
    if (size < 0) return fail(path, errno);
    if (++links_ > max_links) return fail(path, ELOOP);
    const std::filesystem::path target(std::string_view(text.data(), size));
    append(target);
    return target.is_relative() || start();
  }

  bool check(const std::filesystem::path& path, const struct stat& status) {
    const std::string problem = step_problem(status);
    if (problem.empty()) return true;
    result_ = {.error = EPERM, .problem = path.string() + " " + problem};
    return false;
  }

  bool fail(const std::filesystem::path& path, int error) {
    result_ = failure(path.string(), error);
    return false;
  }

  bool create_;
  FileDescriptor at_;               // the directory reached so far
  std::filesystem::path walked_;    // its path
  std::vector<std::string> steps_;  // still to be taken, last first
  int links_ = 0;
  OpenedDirectory result_;
};

}  // namespace

OpenedDirectory open_trusted_directory(const std::filesystem::path& path, bool create) {
  assert(path.is_absolute());
  return Walk(create).open(path);
}

OpenedDirectory open_private_directory(const std::filesystem::path& path, bool create) {
  return require_private(open_trusted_directory(path, create), path.string());
}

OpenedDirectory open_private_directory(int parent, const std::string& name, bool create) {
  constexpr int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  OpenedDirectory opened{.fd = FileDescriptor(::openat(parent, name.c_str(), flags))};
  if (!opened.fd && errno == ENOENT && create) {
    if (::mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST) return failure(name, errno);
    opened.fd = FileDescriptor(::openat(parent, name.c_str(), flags));
  }
  if (!opened.fd) return failure(name, errno);
  return require_private(std::move(opened), name);
}

std::vector<std::string> list_directory(int dir) {
  // A descriptor of its own, because reading moves a position that all its copies share.
  const int fd = ::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return {};
  DIR* stream = ::fdopendir(fd);
  if (stream == nullptr) {
    ::close(fd);
    return {};
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name(entry->d_name);
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(stream);
  return names;
}

}  // namespace streamattn
