// The end of a piece that the blocks of a cluster share: they merge it through their shared memory.
//
// Every block gives every other its part of the units that the other merges, as stores that nobody
// waits for but the one who gets them. So a merge takes the time of one store from block to block,
// however many blocks there are, and each reads as much of O as one block has.
#pragma once

#include "decode/output_rows.cuh"
#include "decode/piece_memory.cuh"
#include "ptx/barrier.cuh"
#include "ptx/cluster.cuh"

namespace streamattn {

/// Two rows of an item, and of their O the four elements that a thread holds, as in a DecodeState.
struct RowPair {
  float reference[2], sum[2], rounded_sum[2], o[4];

  /// A piece, relative to the larger one of its references and of those of the sum so far.
  SA_DEVICE void add(float4 stats, float2 rounded_sums, float4 part) {
    float keep[2], take[2];
    rescale(reference[0], sum[0], stats.x, stats.y, keep[0], take[0]);
    rescale(reference[1], sum[1], stats.z, stats.w, keep[1], take[1]);
    rounded_sum[0] = fmaf(rounded_sum[0], keep[0], take[0] * rounded_sums.x);
    rounded_sum[1] = fmaf(rounded_sum[1], keep[1], take[1] * rounded_sums.y);
    o[0] = fmaf(o[0], keep[0], take[0] * part.x);
    o[1] = fmaf(o[1], keep[1], take[1] * part.y);
    o[2] = fmaf(o[2], keep[0], take[0] * part.z);
    o[3] = fmaf(o[3], keep[1], take[1] * part.w);
  }
};

/// One thread of the math warps. Unit u is of block u % cluster, of which it is unit u / cluster:
/// 16 columns of V, those of a warp in a block of 64, of 8 rows.
template <class Spec>
struct ClusterMerge {
  using State = DecodeState<Spec>;
  using Shared = DecodeShared<Spec>;
  using Pieces = PieceMemory<Spec>;
  static constexpr DecodeTiling tiling = Spec::tiling;
  static constexpr int cluster = tiling.cluster, rows = tiling.rows, warps = DecodeTiling::warps,
                       units = tiling.units();

  const DecodeParams& params;
  Shared shared;
  int warp, lane;

  u32 parity = 0;

  /// Initialises the barrier of what will come. One thread, before the cluster meets first.
  SA_DEVICE static void begin(Shared shared) {
    mbarrier_init(shared.received_barrier(), 1);
    expect(shared);
  }

  /// Merges the piece with those of the other blocks of the cluster, where each stores its units,
  /// or leaves them for the last cluster to arrive.
  SA_DEVICE void finish(const DecodeStream<Spec>& stream, const DecodePiece<Spec>& piece,
                        const DecodeRows<Spec>& at, const State& state) {
    cluster_wait();  // peers are there, and have read what they got before
    give(state);
    if (first_unit() < units) {
      mbarrier_wait_cluster(shared.received_barrier(), parity);
      merge(stream, piece, at);
    }
    parity ^= 1;
    if (stream.done()) return;
    if (threadIdx.x == 0) expect(shared);
    __syncwarp();
    cluster_arrive();
  }

 private:
  // A unit's place in the accumulators.
  struct Unit {
    int block, eight, of_warp;
    SA_DEVICE explicit Unit(int unit)
        : block(unit / warps / (rows / 8)),
          eight(unit / warps % (rows / 8)),
          of_warp(unit % warps) {}
  };

  SA_DEVICE static int rank() { return int(blockIdx.x) % cluster; }
  SA_DEVICE int first_unit() const { return rank() + cluster * warp; }

  // Bytes from all blocks: of this one's units, and of all rows.
  SA_DEVICE static void expect(Shared shared) {
    if (rank() >= units) return;
    int own = (units - 1 - rank()) / cluster + 1;
    mbarrier_arrive_expect(shared.received_barrier(),
                           cluster * (own * DecodeTiling::unit_bytes + rows * 16));
  }

  SA_DEVICE void give(const State& state) const {
#pragma unroll
    for (int m = 0; m < State::blocks; m++) {
#pragma unroll
      for (int j = 0; j < rows / 8; j++) {
        int unit = (m * (rows / 8) + j) * warps + warp;
        const float* x = state.o[m] + 4 * j;
        store(shared.received(unit / cluster, rank()) + 16 * lane, unit % cluster,
              make_float4(x[0], x[1], x[2], x[3]));
      }
    }
    // Lanes that differ in lane / 4 hold the same, and all warps do.
    int to = 8 * warp + lane / 4;
    if (to >= min(cluster, units)) return;
#pragma unroll
    for (int c = 0; c < State::columns; c++)
      store(shared.received_sums(rank(), c / 2 * 8 + 2 * (lane % 4) + c % 2), to,
            make_float4(state.reference[c], state.sum[c], state.rounded_sum[c], 0));
  }

  SA_DEVICE void store(u32 place, int to, float4 value) const {
    store_async(shared_of_peer(place, to), value, shared_of_peer(shared.received_barrier(), to));
  }

  // This warp's units.
  SA_DEVICE void merge(const DecodeStream<Spec>& stream, const DecodePiece<Spec>& piece,
                       const DecodeRows<Spec>& at) const {
    bool is_whole = piece.is_whole();
    Pieces pieces{params, warp, lane};
#pragma unroll 1
    for (int unit = first_unit(); unit < units; unit += cluster * warps) {
      RowPair rows_of_unit = sum_of_blocks(unit);
      if (is_whole)
        store(at, unit, rows_of_unit);
      else
        leave(pieces, Pieces::slot(stream, piece), at, unit, rows_of_unit);
    }
    if (is_whole || !pieces.is_last(stream, piece)) return;
    int first = Pieces::first(stream, piece), count = Pieces::pieces(stream, piece);
#pragma unroll 1
    for (int unit = first_unit(); unit < units; unit += cluster * warps)
      store(at, unit, sum_of_pieces(pieces, first, count, at, unit));
  }

  // In the order of their keys.
  SA_DEVICE RowPair sum_of_blocks(int unit) const {
    int row = Unit(unit).eight * 8 + 2 * (lane % 4);
    RowPair all = {};
    float reference[2][cluster], sum[2][cluster], rounded_sum[2][cluster];
    float top[2] = {-infinity, -infinity};
#pragma unroll
    for (int source = 0; source < cluster; source++) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        int4 sums = load_shared(shared.received_sums(source, row + i));
        reference[i][source] = __int_as_float(sums.x);
        sum[i][source] = __int_as_float(sums.y);
        rounded_sum[i][source] = __int_as_float(sums.z);
        top[i] = fmaxf(top[i], sum[i][source] == 0 ? -infinity : reference[i][source]);
      }
    }
#pragma unroll
    for (int source = 0; source < cluster; source++) {
      int4 part = load_shared(shared.received(unit / cluster, source) + 16 * lane);
      float o[4] = {__int_as_float(part.x), __int_as_float(part.y), __int_as_float(part.z),
                    __int_as_float(part.w)};
#pragma unroll
      for (int i = 0; i < 2; i++) {
        float take = sum[i][source] == 0 ? 0 : exp2_approx(reference[i][source] - top[i]);
        all.sum[i] = fmaf(take, sum[i][source], all.sum[i]);
        all.rounded_sum[i] = fmaf(take, rounded_sum[i][source], all.rounded_sum[i]);
        all.o[i] = fmaf(take, o[i], all.o[i]);
        all.o[i + 2] = fmaf(take, o[i + 2], all.o[i + 2]);
      }
    }
#pragma unroll
    for (int i = 0; i < 2; i++) all.reference[i] = all.sum[i] == 0 ? 0 : top[i];
    return all;
  }

  SA_DEVICE void leave(const Pieces& pieces, int slot, const DecodeRows<Spec>& at, int unit,
                       const RowPair& x) const {
    Unit place(unit);
    if (8 * place.eight + 2 * (lane % 4) >= at.count()) return;
    store_global(pieces.o_of(slot, place.block, place.eight, place.of_warp),
                 make_float4(x.o[0], x.o[1], x.o[2], x.o[3]));
    if (lane >= 4) return;
    store_global(pieces.stats_of(slot, place.eight),
                 make_float4(x.reference[0], x.sum[0], x.reference[1], x.sum[1]));
    store_global(pieces.rounded_sums_of(slot, place.eight),
                 make_float2(x.rounded_sum[0], x.rounded_sum[1]));
  }

  // In the order of their keys, in groups whose loads are all issued before the first is used.
  SA_DEVICE RowPair sum_of_pieces(const Pieces& pieces, int first, int count,
                                  const DecodeRows<Spec>& at, int unit) const {
    constexpr int group = 4;
    Unit place(unit);
    RowPair all = {};
    if (8 * place.eight + 2 * (lane % 4) >= at.count()) return all;
#pragma unroll 1
    for (int p = 0; p < count; p += group) {
      float4 stats[group], part[group];
      float2 rounded_sums[group];
#pragma unroll
      for (int i = 0; i < group; i++) {
        int slot = Pieces::slot_of(first, min(p + i, count - 1));
        stats[i] = load_global((const float4*)pieces.stats_of(slot, place.eight));
        rounded_sums[i] = load_global((const float2*)pieces.rounded_sums_of(slot, place.eight));
        part[i] =
            load_global((const float4*)pieces.o_of(slot, place.block, place.eight, place.of_warp));
      }
#pragma unroll
      for (int i = 0; i < group; i++)
        if (p + i < count) all.add(stats[i], rounded_sums[i], part[i]);
    }
    return all;
  }

  SA_DEVICE void store(const DecodeRows<Spec>& at, int unit, RowPair x) const {
    OutputRows<Spec> output{params, lane};
    Unit place(unit);
    bool has_lse = place.block == 0 && place.of_warp == 0 && lane < 4;
#pragma unroll
    for (int i = 0; i < 2; i++) {
      int c = 2 * place.eight + i;
      auto normal = output.normal(at, c, x.reference[i], x.sum[i], x.rounded_sum[i]);
      x.o[i] *= normal.factor;
      x.o[i + 2] *= normal.factor;
      if (has_lse) output.store_lse(at, c, normal.lse);
    }
    __syncwarp();
    output.store(at, place.block, place.eight, place.of_warp, x.o);
  }
};

}  // namespace streamattn
