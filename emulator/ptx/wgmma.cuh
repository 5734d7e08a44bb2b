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
  template <int b_major, int a_major = 0>
  SA_DEVICE static void multiply_ss(float (&d)[N / 2], u64 a, u64 b, SA_SITE) {
    streamattn_machine->wgmma(
        {is_bf16(Element()), false, a_major == 1, b_major == 1, N, d, nullptr, a, b}, site);
  }
  template <int b_major, int a_major = 0>
  SA_DEVICE static void accumulate_ss(float (&d)[N / 2], u64 a, u64 b, SA_SITE) {
    streamattn_machine->wgmma(
        {is_bf16(Element()), true, a_major == 1, b_major == 1, N, d, nullptr, a, b}, site);
  }
  template <int b_major>
  SA_DEVICE static void multiply_rs(float (&d)[N / 2], const u32* a, u64 b, SA_SITE) {
    streamattn_machine->wgmma({is_bf16(Element()), false, false, b_major == 1, N, d, a, 0, b},
                              site);
  }
  template <int b_major>
  SA_DEVICE static void accumulate_rs(float (&d)[N / 2], const u32* a, u64 b, SA_SITE) {
    streamattn_machine->wgmma({is_bf16(Element()), true, false, b_major == 1, N, d, a, 0, b}, site);
  }
};

}  // namespace streamattn
