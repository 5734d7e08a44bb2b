// Locks between processes.
#include "runtime/cache/locks.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;

namespace {

// Runs `body` in a forked child up to its end; the child then waits to be killed.
template <class Body>
pid_t fork_and_wait_for(const Body& body) {
  std::array<int, 2> ready;
  REQUIRE(::pipe(ready.data()) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    [[maybe_unused]] const auto kept = body();
    if (::write(ready[1], "x", 1) == 1) ::pause();
    ::_exit(1);
  }
  char byte;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  ::close(ready[0]);
  ::close(ready[1]);
  return child;
}

void end(pid_t child) {
  REQUIRE(::kill(child, SIGKILL) == 0);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
}

// A folder for this test's locks.
struct Place {
  ScratchFolder folder;
  ScopedVariable variable{"XDG_RUNTIME_DIR", folder.path().string()};
};

}  // namespace

TEST_CASE("a lock has one holder at a time") {
  const Place place;
  const CacheLocks ours("cache"), theirs("cache");
  {
    const auto lock = ours.try_lock("ab");
    CHECK(lock);
    CHECK_FALSE(theirs.try_lock("ab"));
    CHECK_FALSE(ours.try_lock("ab"));
  }
  CHECK(theirs.try_lock("ab"));
}

TEST_CASE("locks of other names and other caches are other locks") {
  const Place place;
  const CacheLocks ours("cache"), theirs("another");
  const auto lock = ours.try_lock("ab");
  CHECK(ours.try_lock("cd"));
  CHECK(theirs.try_lock("ab"));
}

TEST_CASE("a lock is free as soon as its holder is killed") {
  const Place place;
  const CacheLocks locks("cache");
  const pid_t child = fork_and_wait_for([&] { return locks.try_lock("ab"); });
  CHECK_FALSE(locks.try_lock("ab"));
  end(child);
  CHECK(locks.try_lock("ab"));
}

TEST_CASE("a forked child neither frees nor keeps its parent's lock") {
  const Place place;
  const CacheLocks ours("cache"), theirs("cache");
  auto lock = ours.try_lock("ab");
  const pid_t child = fork_and_wait_for([&] {
    lock.reset();
    return 0;
  });
  CHECK_FALSE(theirs.try_lock("ab"));
  end(child);
  const pid_t bystander = fork_and_wait_for([] { return 0; });
  lock.reset();
  CHECK(theirs.try_lock("ab"));
  end(bystander);
}

TEST_CASE("lock files are kept apart from the cache, for their owner alone") {
  const Place place;
  const CacheLocks locks("cache");
  CHECK(locks.try_lock("ab"));
  const auto folder = place.folder.path() / "streamattn";
  CHECK(std::filesystem::exists(folder / "cache/ab"));
  CHECK(std::filesystem::status(folder).permissions() == std::filesystem::perms::owner_all);
}

TEST_CASE("the last to use the locks of a cache removes them") {
  const Place place;
  const auto folder = place.folder.path() / "streamattn/cache";
  {
    const CacheLocks ours("cache");
    CHECK(ours.try_lock("ab"));
    {
      const CacheLocks theirs("cache");
      CHECK(theirs.try_lock("cd"));
    }
    CHECK(std::filesystem::exists(folder / "cd"));
  }
  CHECK_FALSE(std::filesystem::exists(folder));
}

TEST_CASE("locks of killed processes are removed by the next user of any cache, others are not") {
  const Place place;
  const auto folders = place.folder.path() / "streamattn";
  const auto use = [](const char* cache) {
    return fork_and_wait_for([&] {
      auto locks = std::make_unique<CacheLocks>(cache);
      [[maybe_unused]] const auto lock = locks->try_lock("ab");
      return locks;
    });
  };
  const pid_t killed = use("killed"), living = use("living");
  end(killed);
  CHECK(std::filesystem::exists(folders / "killed/ab"));
  {
    const CacheLocks ours("ours");
  }
  CHECK_FALSE(std::filesystem::exists(folders / "killed"));
  CHECK_FALSE(std::filesystem::exists(folders / "ours"));
  CHECK(std::filesystem::exists(folders / "living/ab"));
  end(living);
}

TEST_CASE("a lock has one holder at a time while users of its cache come and go") {
  const Place place;
  std::atomic<int> holders = 0, shared = 0, taken = 0;
  std::vector<std::thread> users;
  for (int user = 0; user < 4; ++user) {
    users.emplace_back([&] {
      for (int round = 0; round < 300; ++round) {
        const CacheLocks locks("cache");
        const auto lock = locks.try_lock("ab");
        if (!lock) continue;
        ++taken;
        shared += ++holders > 1;
        std::this_thread::yield();
        --holders;
      }
    });
  }
  for (std::thread& user : users) user.join();
  CHECK(shared == 0);
  CHECK(taken > 0);
}
