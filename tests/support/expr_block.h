// Neighbouring queries and keys, and values for the names of random expressions.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "compiler/expr/evaluate.h"

namespace streamattn {

/// Values for every name that a random mask or score has. As they may come: reversed, or with gaps.
struct RandomValues {
  std::vector<std::int32_t> ids;    // "doc", [4, 8]
  std::vector<std::int32_t> words;  // "table", [16]
  std::vector<std::uint8_t> bytes;  // "word", [16]
  std::vector<float> reals;         // "bias", [2, 4, 7]
  std::vector<std::uint16_t> bf16;  // "slope", [8], backwards
  std::vector<std::uint16_t> f16;   // "factor", [4, 8], two apart
  int window, n;                    // positive: they may divide
  float cap;

  explicit RandomValues(std::mt19937_64& random);

  /// In the order of `names`. They point into this.
  NamedValues in_order_of(const ExprNames& names) const;

  NamedTensor tensor(const std::string& name) const;
};

/// Neighbouring queries and keys of one head.
struct ExprBlock {
  ExprPoint at;  ///< all but q, k and score

  std::int64_t queries() const { return at.q_end - at.q_first; }
  std::int64_t keys() const { return at.k_end - at.k_first; }

  /// Up to 9 queries around the positions 0 to 60.
  static ExprBlock random(std::mt19937_64& random, std::int64_t keys);

  std::string describe() const;
};

/// The values of an expression for all pairs of a block, [queries, keys]: bytes of a condition,
/// std::int64_t of an integer.
template <class Value>
std::vector<Value> all_values(const Expr& expr, const ExprBlock& block, const ExprNames& names,
                              const NamedValues& values) {
  const FlatExpr flat(expr, names);
  RowEvaluator<float> row(flat, values);
  std::vector<Value> all(block.queries() * block.keys());
  ExprPoint at = block.at;
  for (at.q = at.q_first; at.q < at.q_end; at.q++) {
    row.start(at);
    row.evaluate(at.k_first, block.keys(), all.data() + (at.q - at.q_first) * block.keys());
  }
  return all;
}

}  // namespace streamattn
