// The kernel cache seen from one process: hits and misses, modes, counters and settings.
#include "runtime/cache/kernel_cache.h"

#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "runtime/cache/directory.h"
#include "tests/support/forked.h"
#include "tests/unit/kernel_cache_use.h"

using namespace streamattn;
namespace fs = std::filesystem;
using Mode = JitOptions::CacheMode;

namespace {

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
  const LogRecorder quiet;
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

TEST_CASE("a cache directory that is given relative to the working directory is made absolute") {
  CHECK(cache_options({}, "cache").directory == fs::current_path() / "cache");
}

TEST_CASE("a cache directory that names none is refused") {
  CHECK(error_of([] { cache_options({}, ""); }) ==
        "invalid_argument: cache_dir is empty, needs a path");
  CHECK(error_of([] { Jit::create({.target = "cpu", .cache_dir = ""}); }) ==
        "invalid_argument: cache_dir is empty, needs a path");
  CHECK(exit_code_of_child([] {
          const ScratchFolder folder;
          fs::current_path(folder.path());
          fs::remove(folder.path());
          const std::string error = error_of([] { cache_options({}, "cache"); });
          return error == "invalid_argument: cache_dir is cache, relative to a working directory "
                          "that cannot be read: No such file or directory"
                     ? 0
                     : 1;
        }) == 0);
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
