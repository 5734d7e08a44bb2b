// What to compute (Problem) and how big it is (Shape).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "streamattn/dtype.h"
#include "streamattn/export.h"
#include "streamattn/masks.h"
#include "streamattn/sequences.h"

namespace streamattn {

/// What attention to compute. Everything in it is compiled in; sizes are not (see Shape).
///
///   O[b, h, i] = sum_j softmax_j(score(scale * Q[b, h, i] . K[b, h / group_size, j])) V[b, h /
///   group_size, j]
///
/// where j runs over the keys that `mask` lets row i see, and a `sink`, a learned logit such as
/// "sink[head]", adds exp(sink) to the sum that the softmax divides by. A row that sees no key
/// gives O = 0 and LSE = -inf, or LSE = sink.
///
/// A key that `mask` lets a row see counts whatever its weight: a NaN in its V makes that column of
/// O NaN, an infinity makes it infinite, or NaN where the weight underflows to 0. A key that it
/// hides never counts: its K and V may hold anything, be it padding that no query sees, or a key
/// that a causal mask hides from some queries and shows to others (docs/flash_wgmma.md). The same
/// is true of gradients, of Q and dO too (docs/backward.md).
struct STREAMATTN_API Problem {
  DType dtype = DType::bf16;               ///< of Q, K and V
  std::optional<DType> out_dtype = {};     ///< of O; dtype where not given, else f32
  int head_dim = 128;                      ///< of Q and K
  std::optional<int> value_head_dim = {};  ///< of V and O; head_dim where not given
  int group_size = 1;                      ///< query heads per key-value head (GQA, MQA)
  Expr mask = {};                          ///< which keys a query sees
  Expr score = expr_names::score;          ///< what becomes of the scaled product of a pair
  std::optional<Expr> sink = {};           ///< a logit per row that joins the denominator alone

  // Batches whose sequences differ: what of it a launch reads on the device (see Sequences).
  SequenceLayout q_layout = SequenceLayout::dense;   ///< of Q, O and LSE: dense or packed
  SequenceLayout kv_layout = SequenceLayout::dense;  ///< of K and V
  bool q_lens = false;                               ///< sequences have a number of queries each
  bool kv_lens = false;  ///< sequences have a number of keys each; of paged ones always

  bool dropout = false;  ///< launches leave weights out (see Dropout)

  DType output_dtype() const { return out_dtype.value_or(dtype); }
  int v_head_dim() const { return value_head_dim.value_or(head_dim); }
  bool has_kv_lens() const { return kv_lens || kv_layout == SequenceLayout::paged; }

  /// Whether the score makes anything else of a scaled product than what it is.
  bool changes_score() const;

  /// Whether lengths stand on the device, sequence by sequence.
  bool is_ragged() const {
    return q_lens || has_kv_lens() || q_layout != SequenceLayout::dense ||
           kv_layout != SequenceLayout::dense;
  }

  /// Throws Error (invalid_problem) when a field contradicts another or is out of range for every
  /// target.
  void validate() const;

  /// One line, canonical: "bf16 -> bf16, head_dim 128, group 4; mask: k <= q". A score and a sink
  /// follow where there are any, then what is not dense: "; q packed; kv paged; kv_lens", then
  /// "; dropout".
  std::string describe() const;

  STREAMATTN_API friend bool operator==(const Problem& a, const Problem& b);
};

/// How big a call is. Steers the choice of schedule; never reaches the emitted text.
struct Shape {
  std::int64_t batch = 1;
  std::int64_t kv_heads = 1;
  std::int64_t q_len = 0;   ///< tokens; of the longest sequence
  std::int64_t kv_len = 0;  ///< tokens; of the longest sequence

  /// Throws Error (invalid_argument) for a size below 0 or above 2^40, which no call can have.
  STREAMATTN_API void validate() const;

  friend bool operator==(const Shape&, const Shape&) = default;
};

}  // namespace streamattn
