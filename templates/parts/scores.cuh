// Score policies: which keys a query sees, and what becomes of their scores.
//
// A policy is written by the compiler from a problem's expressions. It is an object that is built
// for every work item from the parameters, the item and its sequence; it works on global positions
// and has
//
//   trivial                true where every key is seen and only lengths limit it
//   changes                true where change() does something
//   through_tanh           true where products go through tangent_of(), and then become
//                          tanh(tangent_factor() * s) / tangent_factor(), before change()
//   has_sink               true where sink() joins the denominator
//   range_count            how many key ranges a block of queries can see
//   seen(i, q)             keys that some query of [q.begin, q.end) sees, range i; ends descend
//   full(q, keys)          of `keys` such that every query of [q.begin, q.end) sees them
//   keeps(q, k, column)    whether query q sees key k + column
//   scale_log2             what softmax, in base 2, multiplies scores by; positive
//   Elements<N>            elements of a tensor that change() takes, for a thread's N scores of a
//                          tile: KeyElements or NoElements
//   load(elements, q, k)   loads those of queries q[0] and q[1], and of keys from k on
//   element_bytes          of one in memory; 0 where there are none
//   prefetch(q, k)         brings that of query q and key k, and its line, into the L2 cache
//   takes_element_in_tanh  true where tangent_of() reads the element
//   tangent_of(s, q, k, column, element), change(s, q, k, column, element)
//                          what becomes of the product s of query q and key k + column
//   sink(q)                a logit in base 2
//   has_slope              true where slope() is not 1
//   slope(s, q, k, column) the derivative of the score with respect to the scaled product
//
// Ranges of seen may be too wide and may overlap, and full too narrow, never the other way round. A
// column is known when the kernel is compiled: what does not depend on it is worked out once. In
// policies of the backward pass, whose tiles are transposed, change() takes all in one step, and it
// and slope() are of query q + column and key k.
#pragma once

#include "parts/expressions.cuh"
#include "parts/sequence.cuh"

namespace streamattn {

/// What policies begin with: scores that are scaled products.
struct ScaledScore {
  static constexpr bool changes = false, through_tanh = false, takes_element_in_tanh = false,
                        has_sink = false, has_slope = false;
  float scale_log2;

  ScaledScore() = default;
  SA_DEVICE ScaledScore(const ScoreParams& params, WorkItem, const Sequence&)
      : scale_log2(params.scale_log2) {}

  SA_DEVICE float tangent_of(float product, int, int, int, float) const { return product; }
  SA_DEVICE float tangent_factor() const { return 1; }
  SA_DEVICE float change(float score, int, int, int, float) const { return score; }

  template <int N>
  using Elements = NoElements;
  static constexpr int element_bytes = 0;
  SA_DEVICE void load(NoElements&, const int (&)[2], int) const {}
  SA_DEVICE void prefetch(int, int) const {}
  SA_DEVICE float sink(int) const { return 0; }
};

/// The policy for an item of a batch whose sequences differ: expressions see the lengths of its
/// own.
template <class Score>
SA_DEVICE Score score_of_sequence(const ScoreParams& params, WorkItem item,
                                  const Sequence& sequence) {
  ScoreParams own = params;
  own.q_len = sequence.q_len;
  own.kv_len = sequence.kv_len;
  return {own, item, sequence};
}

/// The n-th of the ranges, without an address for them.
template <int N>
SA_DEVICE Span nth(const Span (&ranges)[N], int n) {
  Span found = ranges[0];
#pragma unroll
  for (int i = 1; i < N; i++)
    if (i == n) found = ranges[i];
  return found;
}

/// The n-th of the ranges, in the order of their ends, the last one first.
template <int N>
SA_DEVICE Span nth_from_end(const Span (&ranges)[N], int n) {
  Span found = ranges[0];
#pragma unroll
  for (int i = 0; i < N; i++) {
    int before = 0;
#pragma unroll
    for (int j = 0; j < N; j++)
      before += ranges[j].end > ranges[i].end || (ranges[j].end == ranges[i].end && j < i);
    if (before == n) found = ranges[i];
  }
  return found;
}

/// What `keys` has of that range which has most of it.
template <int N>
SA_DEVICE Span most_of(Span keys, const Span (&ranges)[N]) {
  Span most = {keys.begin, keys.begin};
#pragma unroll
  for (int i = 0; i < N; i++) {
    Span part = {min(max(ranges[i].begin, keys.begin), keys.end),
                 max(min(ranges[i].end, keys.end), keys.begin)};
    if (part.end - part.begin > most.end - most.begin) most = part;
  }
  return most;
}

}  // namespace streamattn
