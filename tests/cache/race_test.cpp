// Many processes on one cache: they share their work, and killing them at any moment leaves nothing
// torn behind.
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <random>
#include <thread>

#include "runtime/cache/directory.h"
#include "runtime/cache/entry.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kernel_count = 32;  // as in racer.cpp

pid_t start_racer(const ScratchFolder& folder, int seed, int requests, int removals) {
  std::vector<std::string> words{CACHE_RACER,
                                 (folder.path() / "cache").string(),
                                 (folder.path() / "compiles").string(),
                                 std::to_string(seed),
                                 std::to_string(requests),
                                 std::to_string(removals)};
  std::vector<char*> args;
  for (std::string& word : words) args.push_back(word.data());
  args.push_back(nullptr);
  pid_t pid = 0;
  REQUIRE(::posix_spawn(&pid, CACHE_RACER, nullptr, nullptr, args.data(), environ) == 0);
  return pid;
}

// The exit code, or minus the signal that ended it.
int wait_for(pid_t pid) {
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// Checks every entry, and that nothing else is left. Returns how many entries there are.
std::size_t check_cache(const fs::path& root) {
  const auto opened = CacheDirectory::open(root, true);  // sweeps
  REQUIRE(opened.directory);
  for (const auto& file : opened.directory->entries()) {
    const FileContent content = opened.directory->read(file.key);
    REQUIRE(content.status == FileContent::Status::ok);
    CHECK(decode(content.bytes, file.key).entry);
  }
  CHECK(opened.directory->quarantined_count() == 0);
  CHECK(opened.directory->temporary_count() == 0);
  return opened.directory->entries().size();
}

}  // namespace

TEST_CASE("processes that want the same kernels compile each of them once") {
  const ScratchFolder folder;
  std::vector<pid_t> racers;
  for (int seed = 0; seed < 16; ++seed) racers.push_back(start_racer(folder, seed, 400, 0));
  for (const pid_t racer : racers) CHECK(wait_for(racer) == 0);
  CHECK(fs::file_size(folder.path() / "compiles") == kernel_count);
  CHECK(check_cache(folder.path() / "cache") == kernel_count);
}

TEST_CASE("processes killed at any moment leave no torn entry and hold up nobody") {
  const ScratchFolder folder;
  std::mt19937 random(1);
  int seed = 0;
  int kills = 0;
  // Entries are removed all the time, so that there is always something to compile and publish.
  const auto start = [&] { return start_racer(folder, ++seed, 1000, 100); };
  std::array<pid_t, 8> racers;
  for (pid_t& racer : racers) racer = start();
  for (int round = 0; round < 300; ++round) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    pid_t& victim = racers[random() % racers.size()];
    REQUIRE(::kill(victim, SIGKILL) == 0);
    const int end = wait_for(victim);
    if (end != -SIGKILL && end != 0) FAIL("a racer ended with " << end);
    kills += end == -SIGKILL;
    victim = start();
  }
  for (const pid_t racer : racers) CHECK(wait_for(racer) == 0);
  CHECK(kills > 100);
  CHECK(check_cache(folder.path() / "cache") > 0);
}

TEST_CASE("clearing the cache disturbs no running process") {
  const ScratchFolder folder;
  std::vector<pid_t> racers;
  for (int seed = 0; seed < 4; ++seed) racers.push_back(start_racer(folder, seed, 1000, 0));
  std::size_t cleared = 0;
  // Until some were made anew: on a busy machine racers take their time to start.
  for (int round = 0; round < 20 || (cleared <= kernel_count && round < 3000); ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    cleared += clear_cache(folder.path() / "cache");
  }
  for (const pid_t racer : racers) CHECK(wait_for(racer) == 0);
  CHECK(cleared > kernel_count);
  check_cache(folder.path() / "cache");
}
