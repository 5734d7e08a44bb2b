// The loading side of decode: one warp that feeds the math warps by TMA, a box a lane.
#pragma once

#include "decode/decode_shared.cuh"
#include "decode/decode_stream.cuh"
#include "ptx/tma.cuh"

namespace streamattn {

/// The loading warp.
template <class Spec>
struct DecodeProducer {
  using Shared = DecodeShared<Spec>;
  static constexpr int tile_kv = DecodeTiling::tile_kv;

  const DecodeParams& params;
  Shared shared;
  int lane;

  typename Shared::Cursor stage = {};

  SA_DEVICE void run() {
    DecodeStream<Spec> stream(params, lane);
#pragma unroll 1
    while (!stream.done()) {
      DecodePiece<Spec> piece = stream.next();
#pragma unroll 1
      for (int n = piece.begin; n < piece.tiles_end(); n++) load_tile(piece, piece.tiles[n]);
    }
  }

 private:
  // The keys of a tile lie in boxes, each in one page where there are pages; a lane has one.
  SA_DEVICE void load_tile(const DecodePiece<Spec>& piece, int tile) {
    int key = tile * tile_kv + lane * params.box_rows;
    bool has_box = lane * params.box_rows < tile_kv;
    Place at = has_box ? place(piece, key) : Place{};
    load<typename Shared::KTile>(shared.k_ring(), shared.k(stage.stage), params.k, has_box,
                                 piece.kv_head, at);
    load<typename Shared::VTile>(shared.v_ring(), shared.v(stage.stage), params.v, has_box,
                                 piece.kv_head, at);
    stage.advance();
  }

  struct Place {
    int entry, row;  // of the tensor; no entry reads as zeros
  };

  template <class Tile>
  SA_DEVICE void load(typename Shared::Ring ring, u32 to, const TensorMap& map, bool has_box,
                      int head, Place at) const {
    if (lane == 0) ring.acquire(stage, Tile::bytes);
    __syncwarp();
    if (!has_box) return;
    u32 full = ring.full + 8 * stage.stage;
#pragma unroll
    for (int c = 0; c < Tile::chunks; c++)
      tma_load(to + c * Tile::chunk_bytes + lane * params.box_rows * Tile::span, map, full,
               c * Tile::chunk, at.row, head, at.entry);
  }

  SA_DEVICE Place place(const DecodePiece<Spec>& piece, int key) const {
    if constexpr (Spec::layout.kv_paged) {
      // A table has no entries behind the length.
      if (key >= piece.sequence.kv_len) return {-1, 0};
      const BatchParams& batch = params.batch;
      int page = key / batch.page_size;
      return {load_global(batch.block_table +
                          (long long)piece.sequence.index * batch.block_table_stride + page),
              key - page * batch.page_size};
    } else {
      return {piece.sequence.kv_entry(), piece.sequence.kv_row + key};
    }
  }
};

}  // namespace streamattn
