// The kernel cache among damage, unsafe places and disks that fail: never an error, never a wrong
// kernel.
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <random>

#include "runtime/cache/directory.h"
#include "runtime/cache/kernel_cache.h"
#include "tests/support/skip.h"
#include "tests/unit/kernel_cache_use.h"

using namespace streamattn;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

// Root may write everywhere: gives a folder to an ordinary user and becomes that user for a while.
class ScopedUser {
 public:
  explicit ScopedUser(const fs::path& folder) {
    if (::geteuid() != 0) return;
    REQUIRE(::chown(folder.c_str(), 1234, 1234) == 0);
    REQUIRE(::seteuid(1234) == 0);
  }
  ScopedUser(const ScopedUser&) = delete;
  ScopedUser& operator=(const ScopedUser&) = delete;
  ~ScopedUser() { CHECK(::seteuid(::getuid()) == 0); }
};

// A small disk of memory in place of a folder.
class ScopedDisk {
 public:
  explicit ScopedDisk(const fs::path& folder) : folder_(folder) {
    mounted_ = ::mount("none", folder.c_str(), "tmpfs", 0, "size=256k,mode=0700") == 0;
  }
  ScopedDisk(const ScopedDisk&) = delete;
  ScopedDisk& operator=(const ScopedDisk&) = delete;
  ~ScopedDisk() {
    if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
  }

  bool is_mounted() const { return mounted_; }
  void make_read_only() {
    REQUIRE(::mount("none", folder_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "") == 0);
  }

 private:
  fs::path folder_;
  bool mounted_;
};

}  // namespace

TEST_CASE("a damaged entry is a miss, goes to quarantine and is made anew") {
  const ScratchFolder folder;
  const FakeKernel kernel(1);
  LogRecorder log;
  KernelCache cache({.directory = folder.path()});
  publish(cache, kernel);
  const fs::path path = entry_path(folder.path(), kernel);
  const std::string sound = read_file(path);

  std::mt19937_64 random(4);
  std::uint64_t rounds = 0;
  const auto damage = [&](const std::string& bytes) {
    write_file(path, bytes);
    const bool found = finds(cache, kernel);
    if (found || fs::exists(path)) FAIL("damage " << rounds << " was not noticed");
    publish(cache, kernel);
    ++rounds;
  };
  // Every byte of the header, then samples of the rest.
  for (std::size_t offset = 0; offset < sound.size(); offset += offset < 128 ? 1 : 97) {
    std::string bytes = sound;
    bytes[offset] ^= static_cast<char>(1 + random() % 255);
    damage(bytes);
  }
  for (std::size_t size = 0; size < sound.size(); size += 61) damage(sound.substr(0, size));
  damage(read_file(path) + "x");
  damage(std::string(sound.size(), '\0'));

  CHECK(finds(cache, kernel));
  CHECK(cache.counters().damaged == rounds);
  CHECK(cache.counters().published == rounds + 1);
  CHECK(file_count(folder.path() / "k1/bad") == 8);
  CHECK(log.has("not using entry " + kernel.key.text() + ": it "));
}

TEST_CASE("an entry under the name of another is not used") {
  const LogRecorder quiet;
  const ScratchFolder folder;
  const FakeKernel kernel(1), other(2);
  KernelCache cache({.directory = folder.path()});
  publish(cache, kernel);
  fs::rename(entry_path(folder.path(), kernel), entry_path(folder.path(), other));
  CHECK_FALSE(finds(cache, other));
  CHECK_FALSE(fs::exists(entry_path(folder.path(), other)));
}

TEST_CASE("whatever is not a private file is replaced by the kernel") {
  const LogRecorder quiet;
  const ScratchFolder folder;
  const FakeKernel kernel(1);
  KernelCache cache({.directory = folder.path()});
  publish(cache, kernel);
  const fs::path path = entry_path(folder.path(), kernel);
  SECTION("a world-writable file") { REQUIRE(::chmod(path.c_str(), 0666) == 0); }
  SECTION("a file with a second name") { fs::create_hard_link(path, folder.path() / "link"); }
  SECTION("a link to a good file") {
    fs::rename(path, folder.path() / "file");
    fs::create_symlink(folder.path() / "file", path);
  }
  SECTION("a FIFO") {
    fs::remove(path);
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  }
  SECTION("a folder") {
    fs::remove(path);
    fs::create_directory(path);
  }
  CHECK_FALSE(finds(cache, kernel));
  publish(cache, kernel);
  CHECK(finds(cache, kernel));
  CHECK(cache.counters().damaged == 1);
}

TEST_CASE("an unsafe directory is refused with one warning that names it") {
  const ScratchFolder folder;
  const fs::path root = folder.path() / "cache";
  const FakeKernel kernel(1);
  {
    KernelCache cache({.directory = root});
    publish(cache, kernel);
  }
  fs::path unsafe;
  std::string problem;
  SECTION("the cache itself") {
    unsafe = root;
    problem = root.string() + " is writable by others (mode 0777)";
  }
  SECTION("its parent") {
    unsafe = folder.path();
    problem = folder.path().string() + " is writable by others (mode 0777)";
  }
  SECTION("its generation") {
    unsafe = root / "k1";
    problem = root.string() + ": k1 is writable by others (mode 0777, 0700 is needed)";
  }
  SECTION("its entries") {
    unsafe = root / "k1/entries";
    problem = root.string() + ": entries is writable by others (mode 0777, 0700 is needed)";
  }
  REQUIRE(::chmod(unsafe.c_str(), 0777) == 0);
  LogRecorder log;
  KernelCache cache({.directory = root});
  CHECK_FALSE(finds(cache, kernel));
  CHECK_FALSE(finds(cache, FakeKernel(2)));
  publish(cache, FakeKernel(2));
  CHECK(log.lines == std::vector<std::string>{"kernels are not kept on disk: " + problem});
  CHECK(cache.counters().published == 0);
}

TEST_CASE("a directory that cannot be written is still read") {
  const ScratchFolder folder;
  const ScopedUser user(folder.path());
  const FakeKernel kernel(1);
  {
    KernelCache cache({.directory = folder.path()});
    publish(cache, kernel);
  }
  const char* const parts[] = {"", "stats", "k1", "k1/tmp", "k1/entries"};
  for (const char* part : parts) REQUIRE(::chmod((folder.path() / part).c_str(), 0500) == 0);
  {
    LogRecorder log;
    KernelCache cache({.directory = folder.path()});
    CHECK(finds(cache, kernel));
    publish(cache, FakeKernel(2));
    CHECK_FALSE(finds(cache, FakeKernel(2)));
    CHECK(cache.counters().publish_failures == 1);
    CHECK(log.has("cannot store " + FakeKernel(2).key.text() + ": Permission denied"));
  }
  for (const char* part : parts) REQUIRE(::chmod((folder.path() / part).c_str(), 0700) == 0);
}

TEST_CASE("a full or read-only disk stops writes and nothing else") {
  const ScratchFolder folder;
  ScopedDisk disk(folder.path());
  if (!disk.is_mounted()) SKIP_TEST("mounting a small disk needs root");
  LogRecorder log;
  const FakeKernel small(1, 10'000), large(2, 400'000), next(3), last(4);
  KernelCache cache({.directory = folder.path()});
  publish(cache, small);
  publish(cache, large);
  CHECK(finds(cache, small));
  CHECK_FALSE(finds(cache, large));
  CHECK(log.has("cannot store " + large.key.text() + ": No space left on device"));
  CHECK(file_count(folder.path() / "k1/tmp") == 0);
  publish(cache, next);  // not even tried for a while
  CHECK(cache.counters().published == 1);
  CHECK(cache.counters().publish_failures == 1);

  disk.make_read_only();
  KernelCache frozen({.directory = folder.path()});
  CHECK(finds(frozen, small));
  publish(frozen, next);
  publish(frozen, last);
  CHECK(frozen.counters().publish_failures == 1);
  CHECK(log.has("cannot store " + next.key.text() + ": Read-only file system"));
}

TEST_CASE("a binary that is no CUDA kernel is not published") {
  const ScratchFolder folder;
  LogRecorder log;
  KernelCache cache({.directory = folder.path()});
  FakeKernel kernel(1);
  const std::string sound = kernel.binary.cubin;
  for (const std::string& cubin : {std::string(), std::string("ELF"), sound.substr(0, 64),
                                   fake_cubin("another_entry", 100, 1)}) {
    kernel.binary.cubin = cubin;
    publish(cache, kernel);
  }
  CHECK(cache.counters().publish_failures == 4);
  CHECK(cache.counters().published == 0);
  CHECK(log.has("not storing " + kernel.key.text() + ": it is no ELF file"));
  CHECK(log.has("it has no kernel streamattn_forward"));
}

TEST_CASE("an entry that is too large to store is compiled every time") {
  const ScratchFolder folder;
  LogRecorder log;
  KernelCache cache({.directory = folder.path()});
  FakeKernel kernel(1);
  kernel.source.text = std::string(300'000, 'x');
  publish(cache, kernel);
  CHECK(cache.counters().publish_failures == 1);
  CHECK(log.has("cannot store " + kernel.key.text() + ": File too large"));
}

TEST_CASE("a directory that is deleted under a running process is made again") {
  const ScratchFolder folder;
  const fs::path root = folder.path() / "cache";
  KernelCache cache({.directory = root});
  publish(cache, FakeKernel(1));
  fs::remove_all(root);
  CHECK_FALSE(finds(cache, FakeKernel(1)));
  publish(cache, FakeKernel(1));
  CHECK(finds(cache, FakeKernel(1)));
  CHECK(clear_cache(root) == 1);
  CHECK_FALSE(finds(cache, FakeKernel(1)));
  publish(cache, FakeKernel(1));
  CHECK(finds(cache, FakeKernel(1)));
}

TEST_CASE("what a killed process was writing is swept away, what a living one writes is not") {
  const ScratchFolder folder;
  {
    KernelCache cache({.directory = folder.path()});
    publish(cache, FakeKernel(1));
  }
  const fs::path tmp = folder.path() / "k1/tmp";
  write_file(tmp / "aaaaaaaa-1-1-of-another-machine", "");
  write_file(tmp / "aaaaaaaa-1-2-of-another-machine", "");
  fs::last_write_time(tmp / "aaaaaaaa-1-2-of-another-machine",
                      fs::file_time_type::clock::now() - 2h);
  KernelCache cache({.directory = folder.path()});
  publish(cache, FakeKernel(2));
  CHECK(fs::exists(tmp / "aaaaaaaa-1-1-of-another-machine"));
  CHECK_FALSE(fs::exists(tmp / "aaaaaaaa-1-2-of-another-machine"));
}
