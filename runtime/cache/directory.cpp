// Opens, reads, fills and empties the directories of the kernel cache.
#include "runtime/cache/directory.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <llvm/Support/Format.h>
#include <llvm/Support/raw_ostream.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <random>

#include "runtime/cache/entry.h"
#include "streamattn/error.h"
#include "support/process_tag.h"

namespace streamattn {
namespace {

constexpr const char* generation_name = "k1";  // changes with the file format's major version
constexpr std::string_view cleared_prefix = "k1.cleared-";
// llvm::pruneCache touches only files with this prefix.
constexpr std::string_view entry_prefix = "llvmcache-";
constexpr std::size_t max_quarantined = 8;
constexpr unsigned counter_shards = 16;
constexpr std::size_t max_counter_bytes = 4096;
constexpr time_t temporary_lifetime_seconds = 3600;

constexpr const char* tag_name = "CACHEDIR.TAG";
constexpr std::string_view tag_text =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# Compiled kernels of StreamAttention, which are made again when they are missing.\n"
    "# See https://bford.info/cachedir/\n";

std::string entry_name(const KernelKey& key) { return std::string(entry_prefix) + key.text(); }

std::string shard_name(unsigned shard) {
  std::string name;
  llvm::raw_string_ostream(name) << llvm::format("%02x.txt", shard);
  return name;
}

CacheDirectory::Opened failure(const std::filesystem::path& root, OpenedDirectory& opened) {
  return {.error = opened.error, .problem = root.string() + ": " + opened.problem};
}

// Tries again because a process that still has the folder open may add a file meanwhile.
void remove_tree(const std::filesystem::path& path) {
  std::error_code error;
  for (int attempt = 0; attempt < 5; ++attempt) {
    std::filesystem::remove_all(path, error);
    if (!error) return;
  }
  throw Error(ErrorCode::cache_io, path.string() + ": " + error.message());
}

}  // namespace

CacheDirectory::Opened CacheDirectory::open(const std::filesystem::path& root, bool create) {
  OpenedDirectory opened_root = open_private_directory(root, create);
  if (!opened_root.fd) return {.error = opened_root.error, .problem = opened_root.problem};
  std::shared_ptr<CacheDirectory> directory(new CacheDirectory);
  directory->root_ = std::move(opened_root.fd);

  OpenedDirectory part = open_private_directory(directory->root_.get(), generation_name, create);
  if (!part.fd) return failure(root, part);
  directory->generation_ = std::move(part.fd);
  part = open_private_directory(directory->generation_.get(), "entries", create);
  if (!part.fd) return failure(root, part);
  directory->entries_ = std::move(part.fd);
  if (!create) return {.directory = std::move(directory)};

  part = open_private_directory(directory->generation_.get(), "tmp", true);
  if (!part.fd) return failure(root, part);
  directory->temporary_ = std::move(part.fd);
  directory->sweep();
  if (::faccessat(directory->root_.get(), tag_name, F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
    publish_file(directory->temporary_.get(), directory->temporary_name(), directory->root_.get(),
                 tag_name, tag_text);
  }
  return {.directory = std::move(directory)};
}

std::string CacheDirectory::temporary_name() const {
  std::random_device random;
  std::string name = process_tag();
  llvm::raw_string_ostream(name) << '-' << llvm::format_hex_no_prefix(random(), 8)
                                 << llvm::format_hex_no_prefix(random(), 8);
  return name;
}

FileContent CacheDirectory::read(const KernelKey& key) const {
  return read_private_file(entries_.get(), entry_name(key), max_entry_bytes);
}

int CacheDirectory::publish(const KernelKey& key, std::string_view bytes) const {
  return publish_file(temporary_.get(), temporary_name(), entries_.get(), entry_name(key), bytes);
}

void CacheDirectory::quarantine(const KernelKey& key) const {
  const OpenedDirectory bad = open_private_directory(generation_.get(), "bad", true);
  const std::size_t count = bad.fd ? list_directory(bad.fd.get()).size() : max_quarantined;
  const std::string to = key.text() + "." + std::to_string(count);
  const bool kept = count < max_quarantined && ::renameat(entries_.get(), entry_name(key).c_str(),
                                                          bad.fd.get(), to.c_str()) == 0;
  if (!kept) ::unlinkat(entries_.get(), entry_name(key).c_str(), 0);
}

void CacheDirectory::sweep() const {
  const time_t now = ::time(nullptr);
  for (const std::string& name : list_directory(temporary_.get())) {
    struct stat file;
    if (::fstatat(temporary_.get(), name.c_str(), &file, AT_SYMLINK_NOFOLLOW) != 0) continue;
    const bool is_old = now - file.st_mtime > temporary_lifetime_seconds;
    if (is_old || is_of_dead_process(name)) ::unlinkat(temporary_.get(), name.c_str(), 0);
  }
}

std::vector<CacheDirectory::EntryFile> CacheDirectory::entries() const {
  std::vector<EntryFile> found;
  for (const std::string& name : list_directory(entries_.get())) {
    if (!name.starts_with(entry_prefix)) continue;
    const auto key = KernelKey::parse(std::string_view(name).substr(entry_prefix.size()));
    struct stat file;
    if (key && ::fstatat(entries_.get(), name.c_str(), &file, AT_SYMLINK_NOFOLLOW) == 0) {
      found.push_back({*key, static_cast<std::uint64_t>(file.st_size)});
    }
  }
  return found;
}

std::size_t CacheDirectory::temporary_count() const {
  const OpenedDirectory opened = open_private_directory(generation_.get(), "tmp", false);
  return opened.fd ? list_directory(opened.fd.get()).size() : 0;
}

std::size_t CacheDirectory::quarantined_count() const {
  const OpenedDirectory opened = open_private_directory(generation_.get(), "bad", false);
  return opened.fd ? list_directory(opened.fd.get()).size() : 0;
}

void CacheDirectory::add_counters(const CacheCounters& counters) const {
  const OpenedDirectory stats = open_private_directory(root_.get(), "stats", true);
  if (!stats.fd) return;
  const auto first = static_cast<unsigned>(::getpid());
  for (unsigned attempt = 0; attempt < counter_shards; ++attempt) {
    const std::string shard = shard_name((first + attempt) % counter_shards);
    const FileDescriptor file(
        ::openat(stats.fd.get(), shard.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) continue;
    // In place: renaming over a file would make some file systems wait for the disk, and a torn
    // counter harms nobody. Counters only grow, so the new text covers the old one.
    std::array<char, max_counter_bytes> stored;
    const ssize_t size = ::pread(file.get(), stored.data(), stored.size(), 0);
    if (size < 0) continue;
    const std::string text =
        to_text(parse_counters({stored.data(), static_cast<std::size_t>(size)}) + counters);
    if (::pwrite(file.get(), text.data(), text.size(), 0) > 0) return;
  }
}

CacheCounters CacheDirectory::counters() const {
  CacheCounters total;
  const OpenedDirectory stats = open_private_directory(root_.get(), "stats", false);
  if (!stats.fd) return total;
  for (unsigned shard = 0; shard < counter_shards; ++shard) {
    const FileContent stored =
        read_private_file(stats.fd.get(), shard_name(shard), max_counter_bytes);
    total = total + parse_counters(stored.bytes);
  }
  return total;
}

std::string CacheDirectory::identity() const {
  struct stat status;
  if (::fstat(root_.get(), &status) != 0) return "unknown";
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format_hex_no_prefix(status.st_dev, 8) << '-'
                                 << llvm::format_hex_no_prefix(status.st_ino, 8);
  return text;
}

std::size_t clear_cache(const std::filesystem::path& root) {
  const OpenedDirectory opened = open_private_directory(root, false);
  if (!opened.fd && opened.error == ENOENT) return 0;
  if (!opened.fd) {
    throw Error(opened.error == EPERM ? ErrorCode::cache_refused : ErrorCode::cache_io,
                opened.problem);
  }
  const auto cache = CacheDirectory::open(root, false);
  const std::size_t count = cache.directory ? cache.directory->entries().size() : 0;
  const std::string aside = std::string(cleared_prefix) + process_tag();
  if (::renameat(opened.fd.get(), generation_name, opened.fd.get(), aside.c_str()) != 0) {
    // A directory of an overlay's lower layer cannot be renamed; then entries go one by one.
    if (errno == EXDEV) {
      remove_tree(root / generation_name);
    } else if (errno != ENOENT) {
      throw Error(ErrorCode::cache_io, root.string() + ": " + std::strerror(errno));
    }
  }
  for (const std::string& name : list_directory(opened.fd.get())) {
    // Ours, and what a clear that was killed left.
    if (name.starts_with(cleared_prefix)) remove_tree(root / name);
  }
  return count;
}

}  // namespace streamattn
