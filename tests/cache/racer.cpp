// One process of the race tests: asks a shared cache for kernels in random order and checks each.
//   cache_racer <cache directory> <file> <seed> <requests> <entry removals per 1000 requests>
// Appends one byte to the file for every compile. Exit code: 0 ok, 2 a wrong kernel, 3 a damaged
// entry was met.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>
#include <random>
#include <thread>

#include "runtime/cache/kernel_cache.h"
#include "support/files.h"
#include "tests/support/fake_kernel.h"

using namespace streamattn;

namespace {

constexpr std::uint64_t kernel_count = 32;
constexpr std::chrono::milliseconds compile_time(2);

bool get(KernelCache& cache, std::uint64_t seed, const FileDescriptor& compiles) {
  const FakeKernel kernel(seed);
  const Binary binary = cache.find_or_compile(kernel.key, kernel.source, {}, [&] {
    if (::write(compiles.get(), "x", 1) != 1) std::abort();
    std::this_thread::sleep_for(compile_time);
    return kernel.binary;
  });
  return binary.cubin == kernel.binary.cubin && binary.advisories == kernel.binary.advisories;
}

}  // namespace

int main(int count, char** args) {
  if (count != 6) return 1;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // no racer outlives its test
  const std::filesystem::path root(args[1]);
  const FileDescriptor compiles(::open(args[2], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  std::mt19937_64 random(std::strtoull(args[3], nullptr, 10));
  const int requests = std::atoi(args[4]);
  const auto removals = static_cast<unsigned>(std::atoi(args[5]));

  KernelCache cache({.directory = root, .patience = std::chrono::seconds(60)});
  for (int request = 0; request < requests; ++request) {
    const std::uint64_t seed = random() % kernel_count;
    if (!get(cache, seed, compiles)) return 2;
    if (random() % 1000 < removals) {
      std::error_code ignored;
      const std::string name = "llvmcache-" + FakeKernel(random() % kernel_count).key.text();
      std::filesystem::remove(root / "k1/entries" / name, ignored);
    }
  }
  return cache.counters().damaged == 0 ? 0 : 3;
}
