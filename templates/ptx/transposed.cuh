// Forms of stmatrix and wgmma that transpose: what the backward pass needs of dS, which is written
// once and read both ways.
#pragma once

#include "ptx/wgmma.cuh"

namespace streamattn {

/// As store_matrix_x4, each 8x8 matrix transposed: a lane's two elements go to two rows of one
/// column (PTX ISA 9.7.14.5).
SA_DEVICE void store_matrix_x4_transposed(u32 address, u32 r0, u32 r1, u32 r2, u32 r3) {
  asm volatile(
      "stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address),
      "r"(r0), "r"(r1), "r"(r2), "r"(r3)
      : "memory");
}

/// D += A B as Wgmma::accumulate_ss, where A and B are MN-major: shared memory holds rows of k.
/// WGMMA_TRANSPOSED_SHAPE(bf16, 128) defines WgmmaTransposed<bf16, 128>.
template <class Element, int N>
struct WgmmaTransposed;

// clang-format off

#define WGMMA_TRANSPOSED_SHAPE(Element, N) WGMMA_CALL(WGMMA_TRANSPOSED_DEFINE, Element, N, WGMMA_NAMES_##N, WGMMA_LIST_##N, WGMMA_REST_##N)

#define WGMMA_TRANSPOSED_DEFINE(Element, N, names, list, i0, i1, i2, i3, i4, i5) \
  template <> struct WgmmaTransposed<Element, N> { \
    SA_DEVICE static void accumulate_ss(float (&d)[N / 2], u64 a, u64 b) { \
      asm volatile(WGMMA_TEXT(Element, N, "1", names, i0 ", " i1 ", p, 1, 1, 1, 1") \
                   : list("+f") : "l"(a), "l"(b)); \
    } \
  };

// clang-format on

}  // namespace streamattn
