// A filled kernel cache on a machine without a compiler.
#include "runtime/cache/kernel_cache.h"
#include "tests/unit/kernel_cache_use.h"

using namespace streamattn;
using Mode = JitOptions::CacheMode;

namespace {

Provenance no_compiler() { throw Error(ErrorCode::nvrtc_missing, "no usable NVRTC"); }

Binary never_compile() { throw Error(ErrorCode::compile_failed, "nothing should be compiled"); }

/// Publishes `binary` for the kernel's source as `compiler` would have made it with `options`.
void publish_as(KernelCache& cache, const FakeKernel& kernel, const Binary& binary,
                const std::vector<std::string>& options, const std::string& compiler) {
  cache.publish(kernel_key(kernel.source, options, compiler), kernel.source, binary,
                {options, compiler});
}

}  // namespace

TEST_CASE("without a compiler a kernel that any compiler made of the source is found") {
  const ScratchFolder folder;
  const FakeKernel kernel(1), other(2);
  KernelCache cache({.directory = folder.path()});
  publish_as(cache, other, other.binary, {"-arch=sm_90a"}, "compiler 12.3");
  publish_as(cache, kernel, kernel.binary, {"-arch=sm_90a", "-fast"}, "compiler 12.4");
  KernelCache reader({.mode = Mode::read_only, .directory = folder.path()});
  const Binary found = reader.find_or_compile(kernel.source, no_compiler, never_compile);
  CHECK(found.cubin == kernel.binary.cubin);
  CHECK(found.advisories == kernel.binary.advisories);
  CHECK(reader.counters().hits == 1);
  CHECK(reader.counters().misses == 0);
}

TEST_CASE("an entry whose key is not that of the source is not used, whatever it says of itself") {
  const LogRecorder quiet;
  const ScratchFolder folder;
  const FakeKernel kernel(1), absent(2);
  KernelCache cache({.directory = folder.path()});
  // The right text, target, options and compiler under the key of another template.
  Source changed = kernel.source;
  changed.flat += "// one more line\n";
  cache.publish(kernel_key(changed, provenance.options, provenance.compiler), kernel.source,
                kernel.binary, provenance);
  publish_as(cache, kernel, kernel.binary, {}, "no such compiler");
  Source elsewhere = kernel.source;
  elsewhere.target = "sm_100a";
  CHECK_FALSE(cache.find_of_any_compiler(elsewhere));
  CHECK(cache.find_of_any_compiler(kernel.source));
  CHECK_FALSE(cache.find_of_any_compiler(absent.source));
  CHECK(cache.find_of_any_compiler(changed));
}

TEST_CASE("without a compiler and without the kernel the error says where was looked") {
  const LogRecorder quiet;
  const ScratchFolder folder;
  const FakeKernel kernel(1);
  const auto error = [&](const CacheOptions& options) {
    KernelCache cache(options);
    return error_of([&] { cache.find_or_compile(kernel.source, no_compiler, never_compile); });
  };
  const std::string missing =
      "nvrtc_missing: no usable NVRTC\nthe kernel cache has no such kernel (";
  CHECK(error({.directory = folder.path()}) == missing + folder.path().string() + ")");
  CHECK(error({}) == missing + "it has no directory)");
  CHECK(error({.mode = Mode::off, .directory = folder.path()}) == missing + "it is off)");
}

TEST_CASE("with a compiler only its own kernels are used, and other errors pass through") {
  const ScratchFolder folder;
  const FakeKernel kernel(1);
  KernelCache cache({.directory = folder.path()});
  publish_as(cache, kernel, kernel.binary, provenance.options, "another compiler");
  int compiles = 0;
  for (int repeat = 0; repeat < 2; ++repeat) {
    cache.find_or_compile(
        kernel.source, [] { return provenance; },
        [&] {
          ++compiles;
          return kernel.binary;
        });
  }
  CHECK(compiles == 1);
  const auto refused = []() -> Provenance { throw Error(ErrorCode::invalid_config, "no"); };
  CHECK(error_of([&] { cache.find_or_compile(kernel.source, refused, never_compile); }) ==
        "invalid_config: no");
}
