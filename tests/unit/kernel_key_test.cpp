// What makes two kernels different.
#include "runtime/cache/kernel_key.h"

#include <set>

#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;

namespace {

Source source(const std::string& flat, std::string_view target = "sm_90a") {
  return {.text = "short", .flat = flat, .entry = "entry", .target = target};
}

std::string key(const Source& source, const std::vector<std::string>& options = {"-a", "-b"},
                std::string_view compiler = "compiler") {
  return kernel_key(source, options, compiler).text();
}

}  // namespace

TEST_CASE("a key stays the same from release to release") {
  // Stored kernels are found by it: a change of this text makes every cache cold.
  CHECK(key(source("source")) == "dfnb25rex7vnfpdpuzv4pa5leuom6utgocme7ybmlciwdnamauga");
}

TEST_CASE("each thing the compiler is given changes the key") {
  std::set<std::string> keys{key(source("source"))};
  std::size_t count = 1;
  const auto is_new = [&](const std::string& text) {
    keys.insert(text);
    return keys.size() == ++count;
  };
  CHECK(is_new(key(source("source "))));
  CHECK(is_new(key(source("source", "sm_90"))));
  CHECK(is_new(key(source("source"), {"-a"})));
  CHECK(is_new(key(source("source"), {"-a-b"})));
  CHECK(is_new(key(source("source"), {"-b", "-a"})));
  CHECK(is_new(key(source("source"), {})));
  CHECK(is_new(key(source("source"), {"-a", "-b"}, "other")));
}

TEST_CASE("what the compiler is not given leaves the key alone") {
  const std::string before = key(source("source"));
  Source other = source("source");
  other.text = "another summary";
  CHECK(key(other) == before);
  const ScopedVariable home("HOME", "/elsewhere");
  const ScopedVariable locale("LC_ALL", "tr_TR.UTF-8");
  CHECK(key(source("source")) == before);
}

TEST_CASE("variables that NVRTC reads change the key, with a warning") {
  const std::string before = key(source("source"));
  for (const char* name : {"NVRTC_DISABLE_CONCURRENT_NVVM", "LIBNVVM_DISABLE_CONCURRENT_API",
                           "NVVM_IR_VER_CHK", "NV_NVVM_VERSION", "LLVM_OVERRIDE_PRODUCER"}) {
    LogRecorder log;
    const ScopedVariable set(name, "1");
    CHECK(key(source("source")) != before);
    CHECK(log.has(std::string(name) + "=1 is set: kernels compiled under it are cached apart"));
  }
}

TEST_CASE("a key's text leads back to the key") {
  const KernelKey original = kernel_key(source("source"), {}, "compiler");
  CHECK(KernelKey::parse(original.text()) == original);
  CHECK(KernelKey::parse("llvmcache") == std::nullopt);
}
