// The loading side of decode: one warp that feeds the math warps, by TMA a box a lane, or by copies
// of 16 bytes where pages are too small for boxes.
#pragma once

#include "decode/decode_shared.cuh"
#include "decode/decode_stream.cuh"
#include "parts/pages.cuh"
#include "ptx/async_copy.cuh"
#include "ptx/cluster.cuh"

namespace streamattn {

/// The loading warp.
template <class Spec>
struct DecodeProducer {
  using Shared = DecodeShared<Spec>;
  using KTile = typename Shared::KTile;
  using VTile = typename Shared::VTile;
  static constexpr DecodeTiling tiling = Spec::tiling;
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
      Span tiles = piece.tiles_of_block();
#pragma unroll 1
      for (int n = tiles.begin; n < tiles.end; n++) {
        if (Spec::layout.kv_paged && params.box_rows == 0)
          copy_tile(piece, piece.tiles[n]);
        else
          load_tile(piece, piece.tiles[n]);
        stage.advance();
      }
      // All warps of a cluster meet in front of every piece, as they have in front of the first.
      if constexpr (tiling.cluster > 1) {
        __syncwarp();
        cluster_wait();
        if (!stream.done()) cluster_arrive_relaxed();
      }
    }
  }

 private:
  // ---- Boxes

  // The keys of a tile lie in boxes, each in one page where there are pages; a lane has one.
  SA_DEVICE void load_tile(const DecodePiece<Spec>& piece, int tile) {
    int key = tile * tile_kv + lane * params.box_rows;
    bool has_box = lane * params.box_rows < tile_kv;
    KeyPlace at = has_box ? place(piece, key) : KeyPlace{};
    load<KTile>(shared.k_ring(), shared.k(stage.stage), params.k, has_box, piece.kv_head, at);
    load<VTile>(shared.v_ring(), shared.v(stage.stage), params.v, has_box, piece.kv_head, at);
  }

  template <class Tile>
  SA_DEVICE void load(typename Shared::Ring ring, u32 to, const TensorMap& map, bool has_box,
                      int head, KeyPlace at) const {
    if (lane == 0) ring.acquire(stage, Tile::bytes);
    __syncwarp();
    if (!has_box) return;
    load_box<Tile>(to, lane * params.box_rows, map, ring.full_of(stage.stage), head, at);
  }

  SA_DEVICE KeyPlace place(const DecodePiece<Spec>& piece, int key) const {
    if constexpr (Spec::layout.kv_paged) {
      return place_in_pages(params.batch.pages, piece.sequence.index, key, piece.sequence.kv_len);
    } else {
      return {piece.sequence.kv_entry(), piece.sequence.kv_row + key};
    }
  }

  // ---- Rows

  // A lane finds the places of two keys; all lanes copy all rows.
  SA_DEVICE void copy_tile(const DecodePiece<Spec>& piece, int tile) {
    KeyPlace low = place(piece, tile * tile_kv + lane),
             high = place(piece, tile * tile_kv + 32 + lane);
    copy<KTile, tiling.head_dim>(shared.k_ring(), shared.k(stage.stage), params.k_data,
                                 params.k_strides, piece.kv_head, low, high);
    copy<VTile, tiling.value_head_dim>(shared.v_ring(), shared.v(stage.stage), params.v_data,
                                       params.v_strides, piece.kv_head, low, high);
  }

  template <class Tile, int columns>
  SA_DEVICE void copy(typename Shared::Ring ring, u32 to, const void* data, const Strides& strides,
                      int head, KeyPlace low, KeyPlace high) const {
    constexpr int parts = Tile::padded / 8;  // of 16 bytes, of a row
    if (lane == 0) ring.wait_empty(stage);
    __syncwarp();
    const u16* of_head = (const u16*)data + head * strides.head;
#pragma unroll 4
    for (int i = lane; i < tile_kv * parts; i += 32) {
      int row = i / parts, part = i % parts;
      int entry = __shfl_sync(~0u, low.entry, row % 32),
          other = __shfl_sync(~0u, high.entry, row % 32);
      int in_page = __shfl_sync(~0u, low.row, row % 32),
          beside = __shfl_sync(~0u, high.row, row % 32);
      if (row >= 32) entry = other, in_page = beside;
      bool exists = entry >= 0 && part * 8 < columns;
      const u16* from = of_head + entry * strides.batch + in_page * strides.seq + part * 8;
      copy_async(to + Tile::place(row, part / 2, part % 2 * 16), exists ? from : of_head, exists);
    }
    copy_async_arrive(ring.full_of(stage.stage));
  }
};

}  // namespace streamattn
