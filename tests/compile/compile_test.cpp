// Compiling with the real NVRTC, where there is one; no GPU is needed.
#include <algorithm>
#include <random>
#include <thread>

#include "compiler/toolchain/nvrtc.h"
#include "streamattn/compiler.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"
#include "tests/support/skip.h"

using namespace streamattn;

namespace {

bool has_nvrtc() {
  const auto candidates = find_nvrtc();
  return std::ranges::any_of(candidates, &NvrtcCandidate::usable);
}

Source source_of(const std::string& text, std::string entry = "streamattn_forward") {
  return {.text = text, .flat = text, .entry = std::move(entry), .target = "sm_90a"};
}

/// A kernel that multiplies by `factor` over `smem_bytes` of static shared memory.
Source small_kernel(int factor, int smem_bytes = 512) {
  return source_of(
      "extern \"C\" __global__ void __launch_bounds__(128, 1)\n"
      "streamattn_forward(float* x) {\n"
      "  __shared__ float buffer[" +
      std::to_string(smem_bytes / 4) +
      "];\n"
      "  buffer[threadIdx.x] = x[threadIdx.x];\n"
      "  __syncthreads();\n"
      "  x[threadIdx.x] = buffer[127 - threadIdx.x] * " +
      std::to_string(factor) +
      ";\n"
      "}\n");
}

// Accumulators change inside a wgmma stage: ptxas waits after every instruction.
constexpr const char* serialised_wgmma = R"(
extern "C" __global__ void __launch_bounds__(128, 1) streamattn_forward(float* x) {
  __shared__ __align__(1024) char tile[4096];
  unsigned long long d = ((unsigned)__cvta_generic_to_shared(tile) & 0x3ffff) >> 4;
  float c[8];
  for (int i = 0; i < 8; ++i) c[i] = x[i];
  asm volatile("wgmma.fence.sync.aligned;");
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    asm volatile(
        "{ .reg .pred p; setp.ne.b32 p, 1, 0;"
        "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7}, %8, %8, p, 1, 1, 0, 0; }"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]), "+f"(c[4]), "+f"(c[5]), "+f"(c[6]),
          "+f"(c[7]) : "l"(d));
    c[0] = c[0] * c[0] + 1;
  }
  asm volatile("wgmma.commit_group.sync.aligned;");
  asm volatile("wgmma.wait_group.sync.aligned 0;");
  for (int i = 0; i < 8; ++i) x[threadIdx.x * 8 + i] = c[i];
}
)";

}  // namespace

TEST_CASE("a kernel compiles to a cubin with its resources") {
  if (!has_nvrtc()) SKIP_TEST("no NVRTC on this machine");
  const Binary binary = compile(small_kernel(3, 2048));
  CHECK(binary.cubin.size() > 1000);
  CHECK(binary.resources.registers > 0);
  CHECK(binary.resources.static_smem_bytes == 2048);
  CHECK(binary.resources.dynamic_smem_bytes == 0);
  CHECK(binary.resources.spill_store_bytes == 0);
  CHECK(binary.advisories.empty());
  CHECK(binary.compile_milliseconds > 0);
}

TEST_CASE("one source always gives one cubin") {
  if (!has_nvrtc()) SKIP_TEST("no NVRTC on this machine");
  CHECK(compile(small_kernel(3)).cubin == compile(small_kernel(3)).cubin);
  CHECK(compile(small_kernel(3)).cubin != compile(small_kernel(4)).cubin);
}

TEST_CASE("eight threads compile at the same time and each gets its own kernel") {
  if (!has_nvrtc()) SKIP_TEST("no NVRTC on this machine");
  constexpr int thread_count = 8;
  std::mt19937 random(99);
  std::vector<int> factors;
  for (int i = 0; i < thread_count; ++i) factors.push_back(2 + static_cast<int>(random() % 1000));
  std::vector<Binary> binaries(thread_count);
  std::vector<std::thread> threads;
  for (int i = 0; i < thread_count; ++i) {
    threads.emplace_back(
        [&, i] { binaries[i] = compile(small_kernel(factors[i], 512 * (i + 1))); });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < thread_count; ++i) {
    INFO("thread " << i);
    CHECK(binaries[i].resources.static_smem_bytes == 512 * (i + 1));
    CHECK(binaries[i].cubin == compile(small_kernel(factors[i], 512 * (i + 1))).cubin);
  }
}

TEST_CASE("serialised wgmma and spills are advisories") {
  if (!has_nvrtc()) SKIP_TEST("no NVRTC on this machine");
  const Binary binary = compile(source_of(serialised_wgmma));
  CHECK(std::ranges::any_of(binary.advisories, [](const std::string& line) {
    return line.find("wgmma.mma_async instructions are serialized") != std::string::npos;
  }));

  // 200 live values in the 64 registers that 1024 threads leave.
  const Binary spilling = compile(source_of(R"(
extern "C" __global__ void __launch_bounds__(1024, 1) streamattn_forward(float* x) {
  float a[200];
#pragma unroll
  for (int i = 0; i < 200; ++i) a[i] = x[i * 7 + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 200; ++i) x[i * 11 + threadIdx.x] = a[(i * 37) % 200];
}
)"));
  CHECK(spilling.resources.spill_store_bytes > 0);
  REQUIRE(spilling.advisories.size() == 1);
  CHECK_THAT(spilling.advisories[0], Catch::Matchers::StartsWith("spills: "));
}

TEST_CASE("a source that is wrong is refused with the first errors of the log") {
  if (!has_nvrtc()) SKIP_TEST("no NVRTC on this machine");
  const std::string error =
      error_of([] { compile(source_of("__global__ void f() { int unused; nonsense(); }\n")); });
  CHECK_THAT(error,
             Catch::Matchers::StartsWith("compile_failed: NVRTC 1") &&
                 contains_text(" refused the source (NVRTC_ERROR_COMPILATION):\n"
                               "streamattn.cu(1): error: identifier \"nonsense\" is undefined\n"));
}

TEST_CASE("an error of ptxas is reported like one of the front end") {
  if (!has_nvrtc()) SKIP_TEST("no NVRTC on this machine");
  CHECK_THAT(
      error_of([] { compile(small_kernel(2, 300000)); }),
      Catch::Matchers::StartsWith("compile_failed: ") && contains_text("too much shared data"));
}

TEST_CASE("a source without the kernel it promises is refused") {
  if (!has_nvrtc()) SKIP_TEST("no NVRTC on this machine");
  CHECK_THAT(
      error_of([] { compile(source_of("", "f")); }),
      Catch::Matchers::StartsWith("compile_failed: NVRTC 1") &&
          Catch::Matchers::EndsWith(" made a cubin that cannot be used: it has no kernel f"));
}

TEST_CASE("a NUL byte in a source is refused, for NVRTC would ignore what follows it") {
  Source source = small_kernel(2);
  source.flat[100] = '\0';
  CHECK(error_of([&] { compile(source); }) ==
        "compile_failed: the source has a NUL byte at offset 100");
}

TEST_CASE("includes are not looked up in the working directory") {
  if (!has_nvrtc()) SKIP_TEST("no NVRTC on this machine");
  const ScratchFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  write_file(folder.path() / "stray.cuh", "int stray;\n");
  const std::string error = error_of([] { compile(source_of("#include \"stray.cuh\"\n")); });
  std::filesystem::current_path(before);
  CHECK_THAT(error, contains_text("stray.cuh"));
}
