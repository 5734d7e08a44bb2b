// What becomes of a warpgroup's O and LSE when its work item is done: one policy for each way of O.
#pragma once

#include "forward/flash_restore.cuh"
#include "parts/output.cuh"
#include "parts/swizzled_tile.cuh"
#include "ptx/warpgroup.cuh"

namespace streamattn {

/// What all epilogues share. Each has
///   takes_q   whether it uses the memory of Q: that is then given back after store(), not before
///   store     by every thread of the warpgroup: O (64, value_head_dim) of an item, not normalised,
///             the factors that normalise the thread's two rows, and their LSE
///   restore   by every thread, of an item that is stored: adds what the screen has taken from V
///   finish    before the block exits
template <class Spec>
struct FlashEpilogueBase {
  static constexpr FlashTiling tiling = Spec::tiling;
  using Element = typename Spec::Element;
  using Item = FlashItem<Spec>;
  using Tile = SwizzledTile<tiling.tile_q, tiling.value_head_dim, tiling.element_bytes>;

  const FlashParams& params;
  FlashShared<Spec> shared;
  Fragment at;

 protected:
  SA_DEVICE static int tile_row(WorkItem item) { return item.q_tile * tiling.tile_q; }

  template <class T>
  SA_DEVICE auto rows(T* tensor, const Strides& strides, Item item) const {
    constexpr int heads = tiling.packed_heads;
    long long place = q_entry_of<Spec>(item) * strides.batch + item.head * heads * strides.head;
    if constexpr (is_ragged<Spec>) place += item.q_row * strides.seq;
    T* first = tensor ? tensor + place : nullptr;
    int q_len = sequence_of<Spec>(params, item).q_len;
    if constexpr (heads == 1)
      return RowsOf<T>{first, strides.seq, q_len};
    else
      return PackedRows<heads, T>{first, strides.seq, strides.head, q_len * heads};
  }

  SA_DEVICE void write_lse(Item item, const float (&lse)[2]) const {
    store_lse(rows(params.output.lse, params.output.lse_strides, item), tile_row(item), at, lse);
  }

  template <int chunks, int N>
  SA_DEVICE void write_chunks(Item item, int first, const float (&o)[N],
                              const float (&normalise)[2]) const {
    if constexpr (tiling.layout.has_foreign_queries()) {
      write_own_rows<chunks>(item, first, o, normalise);
    } else {
      store_tma<Element, Tile, chunks, tiling.packed_heads>(params.o, item, tile_row(item), at,
                                                            shared.o(), first, o, normalise);
    }
  }

  // Rows behind a sequence's last are others': TMA would write them.
  template <int chunks, int N>
  SA_DEVICE void write_own_rows(Item item, int first, const float (&o)[N],
                                const float (&normalise)[2]) const {
    constexpr int heads = tiling.packed_heads;
    fill_chunks<Element, Tile, chunks>(at, shared.o(), first, o, normalise);
    auto to = rows((u16*)params.output.o, params.output.o_strides, item);
    if (tile_row(item) + at.first_row() + 64 <= to.count) {
      WorkItem of_tensor = item;
      of_tensor.batch = q_entry_of<Spec>(item);
      send_chunks<Tile, chunks, heads>(params.o, of_tensor,
                                       first_q_row_of<Spec>(item) * heads + tile_row(item), at,
                                       shared.o(), first);
    } else {
      copy_chunks<Tile, chunks, tiling.value_head_dim>(to, tile_row(item), at, shared.o(), first);
    }
  }

  // Behind it threads may store to the same rows once more.
  template <class Rows>
  SA_DEVICE void restore_rows(Item item, Rows to) const {
    if (at.leads_warpgroup()) tma_store_wait();
    named_barrier_sync(output_barrier(at.warpgroup), 128);
    begin_second_stores();
    int lane = at.lane, first = at.first_row() + 16 * at.warp;
    if constexpr (!is_ragged<Spec>) {
      // Else what is worked out from them is in front of the first item, and kept in registers.
      pin(lane);
      pin(first);
    }
    FlashRestore<Spec>{params, item, lane}.add_to(to, first, 16);
    fence_global_to_async();
  }

  SA_DEVICE void restore_elements(Item item) const {
    restore_rows(item, rows((u16*)params.output.o, params.output.o_strides, item));
  }

  // Until shared memory has been read by the stores so far.
  SA_DEVICE void wait_for_stores() const {
    if (at.leads_warpgroup()) tma_store_wait_read();
  }
};

template <class Spec, OutputPath path = Spec::tiling.output>
struct FlashEpilogue;

template <class Spec>
struct FlashEpilogue<Spec, OutputPath::over_q> : FlashEpilogueBase<Spec> {
  static constexpr bool takes_q = true;

  template <int N>
  SA_DEVICE void store(FlashItem<Spec> item, const float (&o)[N], const float (&normalise)[2],
                       const float (&lse)[2]) const {
    this->write_lse(item, lse);
    this->template write_chunks<FlashEpilogue::Tile::chunks>(item, 0, o, normalise);
    this->wait_for_stores();
  }

  SA_DEVICE void restore(FlashItem<Spec> item) const { this->restore_elements(item); }
  SA_DEVICE void finish() const {}
};

template <class Spec>
struct FlashEpilogue<Spec, OutputPath::buffered> : FlashEpilogueBase<Spec> {
  static constexpr bool takes_q = false;

  template <int N>
  SA_DEVICE void store(FlashItem<Spec> item, const float (&o)[N], const float (&normalise)[2],
                       const float (&lse)[2]) const {
    constexpr int passes = Spec::tiling.o_passes, chunks = FlashEpilogue::Tile::chunks / passes;
    this->write_lse(item, lse);
#pragma unroll
    for (int pass = 0; pass < passes; pass++) {
      this->wait_for_stores();
      named_barrier_sync(output_barrier(this->at.warpgroup), 128);
      this->template write_chunks<chunks>(item, pass * chunks, o, normalise);
    }
  }

  SA_DEVICE void restore(FlashItem<Spec> item) const { this->restore_elements(item); }
  SA_DEVICE void finish() const { this->wait_for_stores(); }
};

template <class Spec>
struct FlashEpilogue<Spec, OutputPath::direct> : FlashEpilogueBase<Spec> {
  static constexpr bool takes_q = false;

  template <int N>
  SA_DEVICE void store(FlashItem<Spec> item, const float (&o)[N], const float (&normalise)[2],
                       const float (&lse)[2]) const {
    this->write_lse(item, lse);
    store_direct<Spec::tiling.value_head_dim>(float_rows(item), this->tile_row(item), this->at, o,
                                              normalise);
  }

  SA_DEVICE void restore(FlashItem<Spec> item) const { this->restore_rows(item, float_rows(item)); }
  SA_DEVICE void finish() const {}

 private:
  SA_DEVICE auto float_rows(FlashItem<Spec> item) const {
    const OutputParams& output = this->params.output;
    return this->rows((float*)output.o, output.o_strides, item);
  }
};

template <class Spec>
struct FlashEpilogue<Spec, OutputPath::partial> : FlashEpilogueBase<Spec> {
  static constexpr bool takes_q = false;

  template <int N>
  SA_DEVICE void store(FlashItem<Spec> item, const float (&o)[N], const float (&normalise)[2],
                       const float (&lse)[2]) const {
    store_lse(lse_rows(item), this->tile_row(item), this->at, lse);
    store_direct<Spec::tiling.value_head_dim>(float_rows(item), this->tile_row(item), this->at, o,
                                              normalise);
  }

  SA_DEVICE void restore(FlashItem<Spec> item) const { this->restore_rows(item, float_rows(item)); }
  SA_DEVICE void finish() const {}

 private:
  // Dense, of a share; what is in front of them is of the others before it. Where sequences differ
  // a tile has the rows of its slot.
  SA_DEVICE OutputRows lse_rows(FlashItem<Spec> item) const {
    int rows = sequence_of<Spec>(this->params, item).q_len * Spec::tiling.packed_heads;
    long long first;
    if constexpr (is_ragged<Spec>) {
      first = (long long)item.slot * Spec::tiling.tile_q - this->tile_row(item);
    } else {
      const OrderParams& order = this->params.order;
      int head = item.share * order.all_heads + item.batch * order.heads + item.head;
      first = (long long)head * rows;
    }
    return {this->params.partial.lse + first, 1, rows};
  }
  SA_DEVICE OutputRows float_rows(FlashItem<Spec> item) const {
    constexpr int columns = Spec::tiling.value_head_dim;
    OutputRows lse = lse_rows(item);
    long long first = lse.first - this->params.partial.lse;
    return {this->params.partial.o + first * columns, columns, lse.count};
  }
};

}  // namespace streamattn
