// Mask policies: which keys a query may see.
//
// A policy works on global positions and has
//
//   trivial          true where every key is seen and only lengths limit it
//   shift_invariant  true where keeps(q, k) depends on q - k alone
//   range_count      how many disjoint key ranges a block of queries can see
//   ranges(i, q)     keys that some query of [q.begin, q.end) sees, range i; ranges descend
//   full(i, q)       keys in it that every query of [q.begin, q.end) sees
//   keeps(q, k)      whether query q sees key k
//
// ranges may be too wide and full too narrow, never the other way round.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

/// Positions [begin, end).
struct Span {
  int begin, end;
};

/// Before and after every position there is, with room for arithmetic.
constexpr int first_position = -(1 << 30), last_position = 1 << 30;

/// "true"
struct MaskNone {
  static constexpr bool trivial = true, shift_invariant = true;
  static constexpr int range_count = 1;
  SA_DEVICE static Span ranges(int, Span) { return {first_position, last_position}; }
  SA_DEVICE static Span full(int, Span) { return {first_position, last_position}; }
  SA_DEVICE static bool keeps(int, int) { return true; }
};

/// "k <= q"
struct MaskCausal {
  static constexpr bool trivial = false, shift_invariant = true;
  static constexpr int range_count = 1;
  SA_DEVICE static Span ranges(int, Span q) { return {first_position, q.end}; }
  SA_DEVICE static Span full(int, Span q) { return {first_position, q.begin + 1}; }
  SA_DEVICE static bool keeps(int q, int k) { return k <= q; }
};

}  // namespace streamattn
