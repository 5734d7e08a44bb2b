// The small POSIX layer under everything kept on disk: directories that can be trusted, whole
// reads, and writes that are complete or absent.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace streamattn {

/// Owns one file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor() { close(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

  /// Closes now; 0 or errno (NFS reports EDQUOT and EIO here).
  int close();

 private:
  int fd_ = -1;
};

/// A directory that was opened, or why it was not.
struct OpenedDirectory {
  FileDescriptor fd;
  int error = 0;        ///< errno; EPERM where the directory is there but refused
  std::string problem;  ///< names the component, such as "/tmp/x is writable by others (mode 0777)"
};

/// Opens an absolute path after walking it from the root: every component, and every link on the
/// way, must belong to root or to this user and be writable by nobody else unless it is sticky.
/// `create` makes missing components with mode 0700.
OpenedDirectory open_trusted_directory(const std::filesystem::path& path, bool create);

/// The same for a directory that must also be this user's own and writable by nobody else.
OpenedDirectory open_private_directory(const std::filesystem::path& path, bool create);

/// A directory of this user's, writable by nobody else, directly below `parent`. Not a link.
OpenedDirectory open_private_directory(int parent, const std::string& name, bool create);

/// The names in an open directory, without "." and "..", in no order. Empty if it cannot be read.
std::vector<std::string> list_directory(int dir);

/// The bytes of a file, or why there are none.
struct FileContent {
  enum class Status { ok, missing, refused, failed };
  Status status = Status::ok;
  std::string bytes;
  std::string problem;  ///< what was found and what is needed, where not ok
};

/// Reads file `name` of directory `dir` into memory; a file mapped from a network file system could
/// kill the process later. Refuses, without blocking, whatever is not a regular file of this user's
/// with one link, writable by nobody else, of at most `max_bytes`.
FileContent read_private_file(int dir, const std::string& name, std::size_t max_bytes);

/// The same for a file that the user named: anybody's, links followed. Refuses, without blocking,
/// whatever is not a regular file of at most `max_bytes`.
FileContent read_regular_file(const std::filesystem::path& path, std::size_t max_bytes);

/// Writes a new file `temporary` in `temporary_dir`, waits until it is on the disk, then renames it
/// to `name` in `dir`, so that `name` is complete or absent at every moment. 0, EEXIST if `name` is
/// there already (it stays as it is), or another errno; on failure nothing is left behind.
int publish_file(int temporary_dir, const std::string& temporary, int dir, const std::string& name,
                 std::string_view bytes);

/// Writes a file so that at every moment, also after a crash, `path` has the old bytes or the new
/// ones. Links stay, what they lead to is replaced; a device or a pipe is written to. 0 or errno;
/// on failure nothing is left behind.
int replace_file(const std::filesystem::path& path, std::string_view bytes);

/// The GNU build-id of an ELF file in hexadecimal, read from its notes without loading the file.
/// Nothing if it has none or is no ELF64 file.
std::optional<std::string> elf_build_id(const std::filesystem::path& path);

/// What identifies the content of a library file: "build-id:<hex>", or "blake3:<base32>" of all its
/// bytes where it has no build-id. Nothing if it cannot be read.
std::optional<std::string> file_identity(const std::filesystem::path& path);

}  // namespace streamattn
