// Every file system call of the cache fails once in every way: the caller never notices.
#include "tests/cache/faults.h"

#include <cerrno>

#include "runtime/cache/kernel_cache.h"
#include "tests/support/catch.h"
#include "tests/support/fake_kernel.h"
#include "tests/support/scratch.h"

using namespace streamattn;

namespace {

constexpr int errors[] = {ENOSPC, EDQUOT, EIO,    ESTALE, EROFS,  EACCES, EPERM,
                          EINTR,  EMFILE, EINVAL, ENOENT, ENOSYS, EEXIST};

struct Outcome {
  bool fault_happened = false;
  bool right = false;  // the caller got its kernel
  bool damaged = false;
};

// A process's whole life with the cache, while its `call`th file system call fails.
Outcome live_through(const std::filesystem::path& root, int call, int error) {
  const FakeKernel kernel(1, 500);
  Outcome outcome;
  arm_fault(call, error);
  {
    KernelCache cache({.directory = root, .patience = std::chrono::milliseconds(0)});
    const Binary binary =
        cache.find_or_compile(kernel.key, kernel.source, {}, [&] { return kernel.binary; });
    outcome.right = binary.cubin == kernel.binary.cubin;
    outcome.damaged = cache.counters().damaged > 0;
  }
  outcome.fault_happened = disarm_fault();
  return outcome;
}

// Thousands of lives are quick only where nobody waits for a disk.
ScopedVariable in_memory() { return {"TMPDIR", "/dev/shm"}; }

// Fails every call in turn until there are no more. Returns how many there are.
template <class Prepare>
int fail_each_call(int error, const Prepare& prepare) {
  for (int call = 1;; ++call) {
    const ScratchFolder folder;
    prepare(folder.path());
    const Outcome outcome = live_through(folder.path(), call, error);
    INFO("call " << call << " failed with errno " << error);
    CHECK(outcome.right);
    CHECK_FALSE(outcome.damaged);
    // Whatever the fault left behind, the next process gets along with it.
    const Outcome next = live_through(folder.path(), 0, 0);
    CHECK(next.right);
    CHECK_FALSE(next.damaged);
    const Outcome last = live_through(folder.path(), 0, 0);
    CHECK(last.right);
    if (!outcome.fault_happened) return call - 1;
  }
}

}  // namespace

TEST_CASE("a fault in any call of a compile and publish is never the caller's") {
  const LogRecorder quiet;
  const ScopedVariable memory = in_memory();
  for (const int error : errors) CHECK(fail_each_call(error, [](const auto&) {}) > 30);
}

TEST_CASE("a fault in any call of a cache hit is never the caller's") {
  const LogRecorder quiet;
  const ScopedVariable memory = in_memory();
  const auto publish_first = [](const std::filesystem::path& root) { live_through(root, 0, 0); };
  for (const int error : errors) CHECK(fail_each_call(error, publish_first) > 20);
}
