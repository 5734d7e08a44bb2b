// The steps that tests of the kernel cache are made of.
#pragma once

#include <filesystem>

#include "runtime/cache/kernel_cache.h"
#include "tests/support/catch.h"
#include "tests/support/fake_kernel.h"
#include "tests/support/scratch.h"

namespace streamattn {

inline const Provenance provenance{{"-arch=sm_90a"}, "fake compiler 1"};

inline void publish(KernelCache& cache, const FakeKernel& kernel) {
  cache.publish(kernel.key, kernel.source, kernel.binary, provenance);
}

inline Binary find_or_compile(KernelCache& cache, const FakeKernel& kernel, int& compiles) {
  return cache.find_or_compile(kernel.key, kernel.source, provenance, [&] {
    ++compiles;
    return kernel.binary;
  });
}

inline bool finds(KernelCache& cache, const FakeKernel& kernel) {
  const auto binary = cache.find(kernel.key);
  if (binary) {
    CHECK(binary->cubin == kernel.binary.cubin);
    CHECK(binary->advisories == kernel.binary.advisories);
    CHECK(binary->resources.registers == kernel.binary.resources.registers);
  }
  return binary.has_value();
}

inline std::filesystem::path entry_path(const std::filesystem::path& root,
                                        const FakeKernel& kernel) {
  return root / "k1/entries" / ("llvmcache-" + kernel.key.text());
}

inline std::size_t file_count(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::size_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder, ignored))
    count += file.exists();
  return count;
}

}  // namespace streamattn
