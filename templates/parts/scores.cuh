// Score policies: which keys a query sees, and what becomes of their scores.
//
// A policy is an object that is built for every work item from the parameters, the item and its
// sequence; it works on global positions and has
//
//   trivial          true where every key is seen and only lengths limit it
//   shift_invariant  true where keeps(q, k) depends on q - k alone
//   changes          true where change() does something
//   range_count      how many disjoint key ranges a block of queries can see
//   ranges(i, q)     keys that some query of [q.begin, q.end) sees, range i; ranges descend
//   full(i, q)       keys in it that every query of [q.begin, q.end) sees
//   keeps(q, k)      whether query q sees key k
//   scale_log2       what softmax, in base 2, multiplies scores by
//   change(s, q, k)  the score of query q and key k, given their product s
//
// ranges may be too wide and full too narrow, never the other way round.
#pragma once

#include "parts/sequence.cuh"

namespace streamattn {

/// Scores that are scaled products: what policies with a mask alone begin with.
struct ScaledScore {
  static constexpr bool changes = false;
  float scale_log2;

  ScaledScore() = default;
  SA_DEVICE ScaledScore(const ScoreParams& params, WorkItem, const Sequence&)
      : scale_log2(params.scale_log2) {}

  SA_DEVICE float change(float score, int, int) const { return score; }
};

/// "true"
struct Unmasked : ScaledScore {
  static constexpr bool trivial = true, shift_invariant = true;
  static constexpr int range_count = 1;
  using ScaledScore::ScaledScore;

  SA_DEVICE Span ranges(int, Span) const { return {first_position, last_position}; }
  SA_DEVICE Span full(int, Span) const { return {first_position, last_position}; }
  SA_DEVICE bool keeps(int, int) const { return true; }
};

/// "k <= q"
struct Causal : ScaledScore {
  static constexpr bool trivial = false, shift_invariant = true;
  static constexpr int range_count = 1;
  using ScaledScore::ScaledScore;

  SA_DEVICE Span ranges(int, Span q) const { return {first_position, q.end}; }
  SA_DEVICE Span full(int, Span q) const { return {first_position, q.begin + 1}; }
  SA_DEVICE bool keeps(int q, int k) const { return k <= q; }
};

}  // namespace streamattn
