// The kernel cache seen from one process: hits, damage, refusals and full disks.
#include "runtime/kernel_cache.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "runtime/cache_directory.h"
#include "tests/support/catch.h"
#include "tests/support/fake_kernel.h"
#include "tests/support/scratch.h"
#include "tests/support/skip.h"

using namespace streamattn;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
using Mode = JitOptions::CacheMode;

namespace {

const Provenance provenance{{"-arch=sm_90a"}, "fake compiler 1"};

void publish(KernelCache& cache, const FakeKernel& kernel) {
  cache.publish(kernel.key, kernel.source, kernel.binary, provenance);
}

Binary find_or_compile(KernelCache& cache, const FakeKernel& kernel, int& compiles) {
  return cache.find_or_compile(kernel.key, kernel.source, provenance, [&] {
    ++compiles;
    return kernel.binary;
  });
}

bool finds(KernelCache& cache, const FakeKernel& kernel) {
  const auto binary = cache.find(kernel.key);
  if (binary) {
    CHECK(binary->cubin == kernel.binary.cubin);
    CHECK(binary->advisories == kernel.binary.advisories);
    CHECK(binary->resources.registers == kernel.binary.resources.registers);
  }
  return binary.has_value();
}

fs::path entry_path(const fs::path& root, const FakeKernel& kernel) {
  return root / "k1/entries" / ("llvmcache-" + kernel.key.text());
}

std::size_t file_count(const fs::path& folder) {
  std::error_code ignored;
  std::size_t count = 0;
  for (const auto& file : fs::directory_iterator(folder, ignored)) count += file.exists();
  return count;
}

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

// Name, inode, size and change time of everything below a folder.
std::string snapshot(const fs::path& root) {
  std::string text;
  std::vector<fs::path> paths;
  for (const auto& file : fs::recursive_directory_iterator(root)) paths.push_back(file.path());
  std::ranges::sort(paths);
  for (const fs::path& path : paths) {
    struct stat status;
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    text += path.string() + " " + std::to_string(status.st_ino) + " " +
            std::to_string(status.st_size) + " " + std::to_string(status.st_ctim.tv_sec) + "." +
            std::to_string(status.st_ctim.tv_nsec) + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("a published kernel is found again by another process's cache") {
  const ScratchFolder folder;
  const FakeKernel kernel(1);
  KernelCache writer({.directory = folder.path() / "cache"});
  CHECK_FALSE(finds(writer, kernel));
  publish(writer, kernel);
  CHECK(finds(writer, kernel));
  KernelCache reader({.mode = Mode::read_only, .directory = folder.path() / "cache"});
  CHECK(finds(reader, kernel));
  CHECK_FALSE(finds(reader, FakeKernel(2)));
  CHECK(writer.counters().published == 1);
  CHECK(reader.counters().hits == 1);
  CHECK(reader.counters().misses == 1);
  CHECK(reader.counters().bytes_read == writer.counters().bytes_written);
}

TEST_CASE("the cache marks its folder for backup programs") {
  const ScratchFolder folder;
  KernelCache cache({.directory = folder.path()});
  publish(cache, FakeKernel(1));
  CHECK(read_file(folder.path() / "CACHEDIR.TAG")
            .starts_with("Signature: 8a477f597d28d172789f06886806bc55"));
}

TEST_CASE("nothing is made on disk before a kernel is published") {
  const ScratchFolder folder;
  {
    KernelCache cache({.directory = folder.path() / "cache"});
    CHECK_FALSE(fs::exists(folder.path() / "cache"));
    CHECK_FALSE(finds(cache, FakeKernel(1)));
    CHECK_FALSE(fs::exists(folder.path() / "cache"));
  }
}

TEST_CASE("a second run compiles nothing and leaves every kernel file as it was") {
  const ScratchFolder folder;
  const std::vector<FakeKernel> kernels{FakeKernel(1), FakeKernel(2), FakeKernel(3)};
  const auto run = [&] {
    int compiles = 0;
    KernelCache cache({.directory = folder.path()});
    for (const FakeKernel& kernel : kernels) find_or_compile(cache, kernel, compiles);
    return compiles;
  };
  CHECK(run() == 3);
  const std::string before = snapshot(folder.path() / "k1/entries");
  CHECK(run() == 0);
  CHECK(snapshot(folder.path() / "k1/entries") == before);
  CHECK(file_count(folder.path() / "k1/tmp") == 0);
}

TEST_CASE("a read-only cache changes nothing on disk at all") {
  const ScratchFolder folder;
  const FakeKernel kernel(1), damaged(2), missing(3);
  {
    KernelCache cache({.directory = folder.path()});
    publish(cache, kernel);
    publish(cache, damaged);
  }
  fs::resize_file(entry_path(folder.path(), damaged), 1000);
  const std::string before = snapshot(folder.path());
  {
    KernelCache cache({.mode = Mode::read_only, .directory = folder.path()});
    CHECK(finds(cache, kernel));
    CHECK_FALSE(finds(cache, damaged));
    int compiles = 0;
    find_or_compile(cache, missing, compiles);
    CHECK(compiles == 1);
  }
  CHECK(snapshot(folder.path()) == before);
}

TEST_CASE("a cache that is off neither reads nor writes") {
  const ScratchFolder folder;
  const FakeKernel kernel(1);
  {
    KernelCache cache({.directory = folder.path() / "cache"});
    publish(cache, kernel);
  }
  KernelCache cache({.mode = Mode::off, .directory = folder.path() / "cache"});
  CHECK_FALSE(finds(cache, kernel));
  int compiles = 0;
  find_or_compile(cache, FakeKernel(2), compiles);
  CHECK(compiles == 1);
  CHECK(cache.counters().hits + cache.counters().misses + cache.counters().published == 0);
}

TEST_CASE("a cache without a directory warns once and works in memory") {
  LogRecorder log;
  KernelCache cache({});
  int compiles = 0;
  for (int i = 0; i < 2; ++i) {
    CHECK(find_or_compile(cache, FakeKernel(1), compiles).cubin == FakeKernel(1).binary.cubin);
  }
  CHECK(compiles == 2);
  CHECK(log.lines ==
        std::vector<std::string>{"kernels are not kept on disk: none of STREAMATTN_CACHE_DIR, "
                                 "XDG_CACHE_HOME and HOME names a directory"});
}

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

TEST_CASE("an entry of another format is a miss and stays") {
  const ScratchFolder folder;
  const FakeKernel kernel(1), other(2);
  KernelCache cache({.directory = folder.path()});
  publish(cache, kernel);
  fs::rename(entry_path(folder.path(), kernel), entry_path(folder.path(), other));
  CHECK_FALSE(finds(cache, other));
  CHECK_FALSE(fs::exists(entry_path(folder.path(), other)));
}

TEST_CASE("whatever is not a private file is replaced by the kernel") {
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
  if (::mount("none", folder.path().c_str(), "tmpfs", 0, "size=256k,mode=0700") != 0) {
    SKIP_TEST("mounting a small disk needs root");
  }
  LogRecorder log;
  {
    const FakeKernel small(1, 10'000), large(2, 400'000);
    KernelCache cache({.directory = folder.path()});
    publish(cache, small);
    publish(cache, large);
    CHECK(finds(cache, small));
    CHECK_FALSE(finds(cache, large));
    CHECK(log.has("cannot store " + large.key.text() + ": No space left on device"));
    CHECK(file_count(folder.path() / "k1/tmp") == 0);
    publish(cache, FakeKernel(3));  // not even tried for a while
    CHECK(cache.counters().published == 1);
    CHECK(cache.counters().publish_failures == 1);

    REQUIRE(::mount("none", folder.path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "") == 0);
    KernelCache frozen({.directory = folder.path()});
    CHECK(finds(frozen, small));
    publish(frozen, FakeKernel(3));
    publish(frozen, FakeKernel(4));
    CHECK(frozen.counters().publish_failures == 1);
    CHECK(log.has("cannot store " + FakeKernel(3).key.text() + ": Read-only file system"));
  }
  CHECK(::umount(folder.path().c_str()) == 0);
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

TEST_CASE("what compile throws reaches the caller and frees the lock") {
  const ScratchFolder folder;
  const FakeKernel kernel(1);
  KernelCache cache({.directory = folder.path(), .patience = 60s});
  const auto fail = [&]() -> Binary { throw Error(ErrorCode::compile_failed, "no"); };
  const auto attempt = [&] { cache.find_or_compile(kernel.key, kernel.source, provenance, fail); };
  CHECK(error_of(attempt) == "compile_failed: no");
  int compiles = 0;
  find_or_compile(cache, kernel, compiles);
  CHECK(compiles == 1);
  CHECK(cache.counters().wait_timeouts == 0);
}

TEST_CASE("threads that race for one kernel compile it once") {
  const ScratchFolder folder;
  const FakeKernel kernel(1);
  std::atomic<int> compiles = 0;
  std::atomic<int> wrong = 0;
  // Each with a cache of its own, as processes have.
  const auto work = [&] {
    KernelCache cache({.directory = folder.path(), .patience = 60s});
    const Binary binary = cache.find_or_compile(kernel.key, kernel.source, provenance, [&] {
      ++compiles;
      std::this_thread::sleep_for(50ms);
      return kernel.binary;
    });
    wrong += binary.cubin != kernel.binary.cubin;
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  CHECK(compiles == 1);
  CHECK(wrong == 0);
}

TEST_CASE("a process that waits too long for another compiles by itself") {
  const ScratchFolder folder;
  const FakeKernel kernel(1);
  std::atomic<bool> done = false;
  int slow_compiles = 0, quick_compiles = 0;
  KernelCache slow({.directory = folder.path()});
  std::atomic<bool> started = false;
  std::thread holder([&] {
    slow.find_or_compile(kernel.key, kernel.source, provenance, [&] {
      started = true;
      while (!done) std::this_thread::sleep_for(1ms);
      ++slow_compiles;
      return kernel.binary;
    });
  });
  while (!started) std::this_thread::sleep_for(1ms);
  LogRecorder log;
  KernelCache quick({.directory = folder.path(), .patience = 30ms});
  find_or_compile(quick, kernel, quick_compiles);
  done = true;
  holder.join();
  CHECK(quick_compiles == 1);
  CHECK(slow_compiles == 1);
  CHECK(quick.counters().wait_timeouts == 1);
  CHECK(quick.counters().published == 1);
  CHECK(slow.counters().lost_races == 1);
  CHECK(log.has("compiling " + kernel.key.text() + " although another process is at it"));
}

TEST_CASE("counters of all processes add up") {
  const ScratchFolder folder;
  int compiles = 0;
  for (int run = 0; run < 3; ++run) {
    KernelCache cache({.directory = folder.path()});
    find_or_compile(cache, FakeKernel(1), compiles);
    find_or_compile(cache, FakeKernel(2), compiles);
  }
  const auto opened = CacheDirectory::open(folder.path(), false);
  REQUIRE(opened.directory);
  const CacheCounters total = opened.directory->counters();
  CHECK(total.hits == 4);
  CHECK(total.misses == 2);
  CHECK(total.published == 2);
  CHECK(total.compiles == 2);
}

TEST_CASE("counters are read as they were written, and nonsense is skipped") {
  CacheCounters counters;
  std::uint64_t next = 1;
  for (const auto& field : cache_counter_fields) counters.*field.value = next++ * 1'000'000'007;
  CHECK(parse_counters(to_text(counters)) == counters);
  CHECK(parse_counters("hits 3\nunknown 4\nmisses x\n\nmisses\n") == CacheCounters{.hits = 3});
  CHECK(counters + counters - counters == counters);
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

TEST_CASE("options come from the caller, else from the environment, else from the home folder") {
  const ScopedVariable no_directory("STREAMATTN_CACHE_DIR", std::nullopt);
  const ScopedVariable no_mode("STREAMATTN_CACHE_MODE", std::nullopt);
  const ScopedVariable no_xdg("XDG_CACHE_HOME", std::nullopt);
  const ScopedVariable home("HOME", "/home/somebody");
  CHECK(cache_options().directory == "/home/somebody/.cache/streamattn");
  CHECK(cache_options().mode == Mode::read_write);
  const ScopedVariable xdg("XDG_CACHE_HOME", "/xdg");
  CHECK(cache_options().directory == "/xdg/streamattn");
  const ScopedVariable directory("STREAMATTN_CACHE_DIR", "/fast/cache");
  const ScopedVariable mode("STREAMATTN_CACHE_MODE", "ro");
  CHECK(cache_options().directory == "/fast/cache");
  CHECK(cache_options().mode == Mode::read_only);
  CHECK(cache_options(Mode::off, "/given").directory == "/given");
  CHECK(cache_options(Mode::off, "/given").mode == Mode::off);
}

TEST_CASE("without a home folder there is no directory") {
  const ScopedVariable no_directory("STREAMATTN_CACHE_DIR", std::nullopt);
  const ScopedVariable relative_xdg("XDG_CACHE_HOME", "cache");
  const ScopedVariable no_home("HOME", std::nullopt);
  CHECK(cache_options().directory.empty());
}

TEST_CASE("a bad cache variable is refused by name") {
  {
    const ScopedVariable directory("STREAMATTN_CACHE_DIR", "cache");
    CHECK(error_of([] { cache_options(); }) ==
          "invalid_config: STREAMATTN_CACHE_DIR is 'cache', an absolute path is needed");
  }
  const ScopedVariable mode("STREAMATTN_CACHE_MODE", "fast");
  CHECK(error_of([] { cache_options(); }) ==
        "invalid_config: STREAMATTN_CACHE_MODE is 'fast', one of rw, ro, off is needed");
}
