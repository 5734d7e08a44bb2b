// Writes new rows of K and V into a cache, K turned by position, and turned rows of Q: as many
// lanes to a row as it has pairs of 16-byte vectors.
#pragma once

#include "append/new_token.cuh"
#include "append/turns.cuh"
#include "params.h"
#include "ptx/dependency.cuh"

namespace streamattn {

/// What append_rows asks of its Spec: Element, the 16-bit type; a BatchLayout layout; head_dim and
/// value_head_dim, multiples of 8; threads of a block.
template <class Spec>
struct AppendRows {
  static constexpr int width = 8;  // columns of a vector
  static constexpr int k_vectors = Spec::head_dim / width, v_vectors = Spec::value_head_dim / width;
  static constexpr int most_vectors = k_vectors > v_vectors ? k_vectors : v_vectors;
  static constexpr int lanes = (most_vectors + 1) / 2;  // of an item
  static constexpr int block_items = Spec::threads / lanes;

  const AppendParams& params;

  // Lanes behind the last whole item of a block rest.
  SA_DEVICE void run() const {
    int item_here = threadIdx.x / lanes, lane = threadIdx.x - item_here * lanes;
    if (item_here == block_items) return;
#pragma unroll 1
    for (int item = blockIdx.x * block_items + item_here; item < params.items;
         item += gridDim.x * block_items)
      append(item / params.token_items, item % params.token_items * params.item_heads, lane);
  }

 private:
  // Heads of a token from `first` on.
  SA_DEVICE void append(int token, int first, int lane) const {
    NewToken<Spec> at(params.batch, token);
    if (!at.exists) return;
    int entry = 0, row = 0;
    bool has_place = at.place(params.batch, entry, row);
    int k_begin = params.q_heads, v_begin = k_begin + params.kv_heads;
    int end = min(first + params.item_heads, v_begin + params.kv_heads);
    PairFactors factors;
    if (first < v_begin && lane < params.rope.vectors)
      factors.load(params.rope, (long long)params.batch.k_position + at.cache_row, lane);
#pragma unroll 1
    for (int head = first; head < end; head++) {
      if (head < k_begin) {
        turn_row(source(params.q, at, head), target(params.rotated_q, at.entry, at.row, head),
                 factors, lane);
      } else if (has_place && head < v_begin) {
        int of_k = head - k_begin;
        turn_row(source(params.new_k, at, of_k), target(params.k, entry, row, of_k), factors, lane);
      } else if (has_place) {
        int of_v = head - v_begin;
        copy_vectors<v_vectors>(source(params.new_v, at, of_v), target(params.v, entry, row, of_v),
                                0, lane);
      }
    }
  }

  SA_DEVICE static long long place(const Strides& strides, int entry, int row, int head) {
    return entry * strides.batch + row * strides.seq + head * strides.head;
  }
  SA_DEVICE static const int4* source(const RowsParams& rows, const NewToken<Spec>& at, int head) {
    return (const int4*)((const u16*)rows.data + place(rows.strides, at.entry, at.row, head));
  }
  SA_DEVICE static int4* target(const TargetRowsParams& rows, int entry, int row, int head) {
    return (int4*)((u16*)rows.data + place(rows.strides, entry, row, head));
  }

  // Both vectors of a lane are loaded before either is stored: a row of Q may be turned in place.
  SA_DEVICE void turn_row(const int4* from, int4* to, const PairFactors& factors, int lane) const {
    int turned = params.rope.vectors;
    if (lane >= turned) return copy_vectors<k_vectors>(from, to, 2 * turned, lane - turned);
    int4 low = load_global(from + lane), high = load_global(from + lane + turned);
    factors.turn(typename Spec::Element(), params.rope.split_half, low, high);
    store_global(to + lane, low);
    store_global(to + lane + turned, high);
  }

  // Of vectors [begin, count), two to a lane.
  template <int count>
  SA_DEVICE static void copy_vectors(const int4* from, int4* to, int begin, int lane) {
    int half = (count - begin + 1) / 2;
    if (lane >= half) return;
    int low = begin + lane, high = low + half;
    bool has_high = high < count;
    int4 first = load_global(from + low), second = {};
    if (has_high) second = load_global(from + high);
    store_global(to + low, first);
    if (has_high) store_global(to + high, second);
  }
};

/// The kernel.
template <class Spec>
SA_DEVICE void append_rows(const AppendParams& params) {
  static_assert(
      requires {
        typename Spec::Element;
        Spec::layout.q_packed;
        Spec::head_dim + Spec::value_head_dim + Spec::threads;
      }, "Spec needs a type Element, a BatchLayout layout, ints head_dim, value_head_dim, threads");
  // A decode kernel behind this one may prepare itself; it waits before it reads.
  launch_dependents();
  AppendRows<Spec>{params}.run();
}

}  // namespace streamattn
