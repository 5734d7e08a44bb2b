// Gradients of 64 keys on their way out of the registers of a warpgroup: (64, columns) float, whose
// rows are multiplied by factors.
#pragma once

#include "backward/backward_shared.cuh"
#include "parts/output.cuh"

namespace streamattn {

/// To shared memory, in 16 bits, as TMA takes them.
template <class Element, class Tile, int N>
SA_DEVICE void store_packed(u32 buffer, Fragment at, const float (&tile)[N],
                            const float (&factor)[2]) {
  int row = at.warp * 16 + at.lane % 16;
#pragma unroll
  for (int step = 0; step < Tile::padded / Tile::step; step++) {
    u32 packed[4];
    pack_step<Element>(tile, step, factor, packed);
    store_matrix_x4(buffer + Tile::place(row, step, at.matrix_byte_column()), packed[0], packed[1],
                    packed[2], packed[3]);
  }
}

/// To memory, or added to what is there; `sequence`, shared, is that of a packed item.
template <class Spec, int columns, int N>
SA_DEVICE void store_in_float(const BackwardParams& params, const DirectParams& direct,
                              KeyItem item, u32 sequence, Fragment at, const float (&tile)[N],
                              const float (&factor)[2]) {
  const Strides& strides = direct.strides;
  long long first = item.batch * strides.batch;
  int row = item.key_tile * Spec::tiling.tile_kv(), count = params.sequence.kv_len;
  if constexpr (is_packed<Spec>) {
    PackedRange kv = PackedSequence::load(sequence).kv;
    first = kv.first * strides.seq, count = kv.count;
  }
  OutputRows rows{direct.data + first + item.kv_head * strides.head, strides.seq, count};
  if (params.accumulate)
    add_direct<columns>(rows, row, at, tile, factor);
  else
    store_direct<columns>(rows, row, at, tile, factor);
}

}  // namespace streamattn
