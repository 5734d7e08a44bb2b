// dK and dV of key tiles whose queries several work items share: the sums of what each of them has.
#pragma once

#include "backward/key_item.cuh"
#include "ptx/dependency.cuh"
#include "ptx/global.cuh"
#include "ptx/math.cuh"

namespace streamattn {

/// What sum_parts asks of its Spec: Element, head dims, keys of a tile and threads of a block.
/// Threads take 16 bytes of a row each; parts are added in their order, in float.
template <class Spec>
struct SumParts {
  using Element = typename Spec::Element;
  static constexpr int columns = 8;  // of a thread

  const SumPartsParams& params;

  SA_DEVICE void run() const {
    sum<Spec::head_dim>(params.d_k_parts, params.d_k, params.d_k_strides);
    sum<Spec::value_head_dim>(params.d_v_parts, params.d_v, params.d_v_strides);
  }

 private:
  template <int dim>
  SA_DEVICE void sum(const void* parts, void* to, const Strides& strides) const {
    constexpr int vectors = dim / columns;
    int rows = params.order.cut * Spec::tile_kv;
#pragma unroll 1
    for (int i = blockIdx.x * Spec::threads + threadIdx.x; i < rows * vectors;
         i += gridDim.x * Spec::threads) {
      int row = i / vectors, first = i % vectors * columns;
      KeyItem item = whole_item(params.order, params.order.whole + row / Spec::tile_kv);
      int key = item.key_tile * Spec::tile_kv + row % Spec::tile_kv;
      if (key >= params.kv_len) continue;
      long long at = item.batch * strides.batch + item.kv_head * strides.head + key * strides.seq;
      store_global(
          (int4*)((u16*)to + at + first),
          sum_vector((const u16*)parts + (long long)row * dim + first, (long long)rows * dim));
    }
  }

  // Those of all parts, which are `stride` elements apart.
  SA_DEVICE int4 sum_vector(const u16* part, long long stride) const {
    float sums[columns] = {};
#pragma unroll 4
    for (int p = 0; p < params.order.parts; p++) {
      int4 found = load_global((const int4*)(part + p * stride));
      const int pairs[columns / 2] = {found.x, found.y, found.z, found.w};
#pragma unroll
      for (int i = 0; i < columns; i++)
        sums[i] += unpack(Element(), u16(u32(pairs[i / 2]) >> i % 2 * 16));
    }
    return make_int4(pack(sums, 0), pack(sums, 2), pack(sums, 4), pack(sums, 6));
  }

  SA_DEVICE static int pack(const float (&sums)[columns], int i) {
    return int(streamattn::pack(Element(), sums[i], sums[i + 1]));
  }
};

/// The kernel: a programmatic dependent of the one that makes the parts.
template <class Spec>
SA_DEVICE void sum_parts(const SumPartsParams& params) {
  constexpr bool is_spec = requires {
    typename Spec::Element;
    Spec::head_dim + Spec::value_head_dim + Spec::tile_kv + Spec::threads;
  };
  static_assert(is_spec,
                "Spec needs a type Element, ints head_dim, value_head_dim, tile_kv and threads");
  dependency_wait();
  if constexpr (is_spec) SumParts<Spec>{params}.run();
}

}  // namespace streamattn
