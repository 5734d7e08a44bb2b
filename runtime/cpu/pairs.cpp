// The two instruction sets of x86 that multiply pairs of bf16: AMX and AVX512_BF16. Highway does
// not reach them.
#include "runtime/cpu/pairs.h"

#if defined(__x86_64__) && defined(__linux__)

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

namespace streamattn {
namespace {

constexpr std::size_t lanes = 16;  // of a vector, and of a matrix register
static_assert(pair_tile == 2 * lanes);

// AVX512_BF16: 8 rows at once, whose 16 sums hide the latency of the instruction.
constexpr int rows_at_once = 8;

__attribute__((target("avx512f,avx512bf16"))) void multiply_rows(const PairProduct& product,
                                                                 std::size_t row) {
  const std::uint16_t* a = product.a + row * product.a_step;
  float* c = product.c + row * pair_tile;
  __m512 sum[rows_at_once][2];
  for (int i = 0; i < rows_at_once; ++i) sum[i][0] = sum[i][1] = _mm512_setzero_ps();
  for (std::size_t s = 0; s < product.sums; s += 2) {
    const auto* b = reinterpret_cast<const __m512i*>(product.b + s / 2 * pair_tile);
    const auto b0 = reinterpret_cast<__m512bh>(_mm512_load_si512(b));
    const auto b1 = reinterpret_cast<__m512bh>(_mm512_load_si512(b + 1));
#pragma GCC unroll 8
    for (int i = 0; i < rows_at_once; ++i) {
      int bits;
      __builtin_memcpy(&bits, a + i * product.a_step + s, sizeof bits);
      const auto pair = reinterpret_cast<__m512bh>(_mm512_set1_epi32(bits));
      sum[i][0] = _mm512_dpbf16_ps(sum[i][0], pair, b0);
      sum[i][1] = _mm512_dpbf16_ps(sum[i][1], pair, b1);
    }
  }
  for (int i = 0; i < rows_at_once; ++i) {
    for (int half = 0; half < 2; ++half) {
      float* to = c + (2 * i + half) * lanes;
      if (product.factor != nullptr) {
        const __m512 factor = _mm512_load_ps(product.factor + half * lanes);
        sum[i][half] = _mm512_fmadd_ps(_mm512_load_ps(to), factor, sum[i][half]);
      }
      _mm512_store_ps(to, sum[i][half]);
    }
  }
}

void multiply_by_vectors(const PairProduct& product) {
  for (std::size_t row = 0; row < product.rows; row += rows_at_once) multiply_rows(product, row);
}

/// What LDTILECFG reads.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

/// c = c * factor + sum, for pair_tile rows of as many floats.
__attribute__((target("avx512f"))) void add_rows(const float* sum, const float* factor, float* c) {
  for (std::size_t row = 0; row < pair_tile; ++row) {
    for (int half = 0; half < 2; ++half) {
      const std::size_t at = row * pair_tile + half * lanes;
      _mm512_store_ps(c + at,
                      _mm512_fmadd_ps(_mm512_load_ps(c + at), _mm512_load_ps(factor + half * lanes),
                                      _mm512_load_ps(sum + at)));
    }
  }
}

/// 32 x 32 results at once: registers 0 to 3 hold them, 4 and 5 the left operand, 6 and 7 the
/// right one.
__attribute__((target("amx-tile,amx-bf16"))) void multiply_by_matrices(const PairProduct& product) {
  static const TileConfig config;
  _tile_loadconfig(&config);
  constexpr std::size_t row_bytes = pair_tile * sizeof(float);
  const std::size_t a_bytes = product.a_step * sizeof(std::uint16_t);
  for (std::size_t row = 0; row < product.rows; row += pair_tile) {
    const std::uint16_t* a = product.a + row * product.a_step;
    float* c = product.c + row * pair_tile;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (std::size_t s = 0; s < product.sums; s += pair_tile) {
      const float* b = product.b + s / 2 * pair_tile;
      _tile_loadd(4, a + s, a_bytes);
      _tile_loadd(6, b, row_bytes);
      _tile_loadd(7, b + lanes, row_bytes);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, a + lanes * product.a_step + s, a_bytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    alignas(64) float sum[pair_tile * pair_tile];
    float* to = product.factor == nullptr ? c : sum;
    _tile_stored(0, to, row_bytes);
    _tile_stored(1, to + lanes, row_bytes);
    _tile_stored(2, to + lanes * pair_tile, row_bytes);
    _tile_stored(3, to + lanes * pair_tile + lanes, row_bytes);
    // Compilers do not know that the intrinsics read and write memory.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (product.factor != nullptr) add_rows(sum, product.factor, c);
  }
  _tile_release();
}

/// Whether the CPU has AMX for bf16 and Linux, which saves its registers only for processes that
/// ask, lets this process use it.
bool has_amx() {
  unsigned eax, ebx, ecx, edx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  constexpr unsigned amx_bf16 = 1U << 22;
  constexpr unsigned amx_tile = 1U << 24;
  if ((edx & amx_bf16) == 0 || (edx & amx_tile) == 0) return false;
  constexpr int request_permission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int tile_data = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

MultiplyPairs choose() {
  if (!__builtin_cpu_supports("avx512f")) return nullptr;
  if (has_amx()) return multiply_by_matrices;
  // Twice the multiply-adds a second of float there, but half of them on Intel's CPUs.
  if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_is("amd")) return multiply_by_vectors;
  return nullptr;
}

}  // namespace

MultiplyPairs multiply_pairs() {
  static const MultiplyPairs chosen = choose();
  return chosen;
}

}  // namespace streamattn

#else

namespace streamattn {

MultiplyPairs multiply_pairs() { return nullptr; }

}  // namespace streamattn

#endif
