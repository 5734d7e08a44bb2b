// The compiled half of Highway: which instruction sets the CPU has, and aligned memory. Its
// packages have it as a shared library of one exact version, ours is to need none.
#include <cpuid.h>
#include <hwy/aligned_allocator.h>
#include <hwy/base.h>
#include <hwy/targets.h>

#include <atomic>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <new>

namespace hwy {
namespace {

/// A bit of what CPUID says in ECX.
bool cpuid_has(unsigned leaf, unsigned bit) {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(leaf, 0, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit) != 0;
}

// __builtin_cpu_supports also asks whether the system saves the registers. What it does not know in
// every compiler we build with is asked of the CPU itself.
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         cpuid_has(1, bit_F16C) && cpuid_has(0x80000001, bit_LZCNT);
}

bool has_avx3() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd");
}

bool has_avx3_dl() {
  return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi") &&
         __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512bitalg") &&
         __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("vpclmulqdq") &&
         __builtin_cpu_supports("gfni") && cpuid_has(7, bit_VAES);
}

// Every target includes the ones before it.
std::int64_t detect_targets() {
  std::int64_t targets = HWY_STATIC_TARGET;
  if (!__builtin_cpu_supports("ssse3")) return targets;
  targets |= HWY_SSSE3;
  if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("pclmul") ||
      !__builtin_cpu_supports("aes")) {
    return targets;
  }
  targets |= HWY_SSE4;
  if (!has_avx2()) return targets;
  targets |= HWY_AVX2;
  if (!has_avx3()) return targets;
  targets |= HWY_AVX3;
  return has_avx3_dl() ? targets | HWY_AVX3_DL : targets;
}

std::atomic<std::int64_t> targets_for_test{0};

// Stands in front of a block of aligned memory.
struct alignas(HWY_ALIGNMENT) Header {
  std::size_t payload_size;
};

Header* header_of(void* payload) { return static_cast<Header*>(payload) - 1; }

}  // namespace

std::int64_t SupportedTargets() {
  static const std::int64_t detected = detect_targets();
  const std::int64_t wanted = targets_for_test;
  return wanted != 0 ? wanted : detected;
}

void SetSupportedTargetsForTest(std::int64_t targets) { targets_for_test = targets; }

ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}

// What its assertions call, which are in debug builds.
void Abort(const char* file, int line, const char* format, ...) {
  std::fprintf(stderr, "%s:%d: ", file, line);
  std::va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
  std::abort();
}

// Throws std::bad_alloc, where Highway's own returns null to callers that do not look.
void* AllocateAlignedBytes(std::size_t payload_size, AllocPtr /*unused*/, void* /*unused*/) {
  if (payload_size > std::numeric_limits<std::size_t>::max() - sizeof(Header)) {
    throw std::bad_alloc();
  }
  void* memory = ::operator new(sizeof(Header) + payload_size, std::align_val_t(alignof(Header)));
  return new (memory) Header{payload_size} + 1;
}

void FreeAlignedBytes(const void* payload, FreePtr /*unused*/, void* /*unused*/) {
  if (payload == nullptr) return;
  ::operator delete(header_of(const_cast<void*>(payload)), std::align_val_t(alignof(Header)));
}

void AlignedDeleter::DeleteAlignedArray(void* payload, FreePtr free_ptr, void* opaque,
                                        ArrayDeleter destroy) {
  if (payload == nullptr) return;
  destroy(payload, header_of(payload)->payload_size);
  FreeAlignedBytes(payload, free_ptr, opaque);
}

}  // namespace hwy
