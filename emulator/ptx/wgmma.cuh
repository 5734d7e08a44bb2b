// Warpgroup matrix instructions; contracts are those of templates/ptx/wgmma.cuh.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

SA_DEVICE constexpr bool is_bf16(bf16) { return true; }
SA_DEVICE constexpr bool is_bf16(f16) { return false; }

/// Every shape there is: nothing has to be named for the host compiler.
#define WGMMA_SHAPE(Element, N) static_assert(N % 8 == 0 && N >= 8 && N <= 256);

template <class Element, int N>
struct Wgmma {
  template <int b_major, int a_major = 0, int steps = 1, u64 a_step = 0, u64 b_step = 0>
  SA_DEVICE static void multiply_ss(float (&d)[N / 2], u64 a, u64 b, SA_SITE) {
    for (int i = 0; i < steps; i++)
      streamattn_machine->wgmma({is_bf16(Element()), i > 0, a_major == 1, b_major == 1, N, d,
                                 nullptr, a + i * a_step, b + i * b_step},
                                site);
  }
  template <int b_major, int a_major = 0, int steps = 1, u64 a_step = 0, u64 b_step = 0>
  SA_DEVICE static void accumulate_ss(float (&d)[N / 2], u64 a, u64 b, SA_SITE) {
    for (int i = 0; i < steps; i++)
      streamattn_machine->wgmma({is_bf16(Element()), true, a_major == 1, b_major == 1, N, d,
                                 nullptr, a + i * a_step, b + i * b_step},
                                site);
  }
  template <int b_major, int steps = 1, u64 b_step = 0>
  SA_DEVICE static void multiply_rs(float (&d)[N / 2], const u32* a, u64 b, SA_SITE) {
    for (int i = 0; i < steps; i++)
      streamattn_machine->wgmma(
          {is_bf16(Element()), i > 0, false, b_major == 1, N, d, a + 4 * i, 0, b + i * b_step},
          site);
  }
  template <int b_major, int steps = 1, u64 b_step = 0>
  SA_DEVICE static void accumulate_rs(float (&d)[N / 2], const u32* a, u64 b, SA_SITE) {
    for (int i = 0; i < steps; i++)
      streamattn_machine->wgmma(
          {is_bf16(Element()), true, false, b_major == 1, N, d, a + 4 * i, 0, b + i * b_step},
          site);
  }
};

}  // namespace streamattn
