// Transposing forms of stmatrix and wgmma; contracts are those of templates/ptx/transposed.cuh.
#pragma once

#include "ptx/wgmma.cuh"

namespace streamattn {

SA_DEVICE void store_matrix_x4_transposed(u32 address, u32 r0, u32 r1, u32 r2, u32 r3, SA_SITE) {
  const u32 registers[4] = {r0, r1, r2, r3};
  streamattn_machine->store_matrix_x4_transposed(address, registers, site);
}

#define WGMMA_TRANSPOSED_SHAPE(Element, N) static_assert(N % 8 == 0 && N >= 8 && N <= 256);

template <class Element, int N>
struct WgmmaTransposed {
  SA_DEVICE static void accumulate_ss(float (&d)[N / 2], u64 a, u64 b, SA_SITE) {
    streamattn_machine->wgmma({.bf16 = is_bf16(Element()),
                               .accumulate = true,
                               .a_mn_major = true,
                               .b_mn_major = true,
                               .n = N,
                               .d = d,
                               .a = nullptr,
                               .a_descriptor = a,
                               .b_descriptor = b},
                              site);
  }
};

}  // namespace streamattn
