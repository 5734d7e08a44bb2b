// Masks and scores that have names.
#include "streamattn/masks.h"

namespace streamattn {

using expr_names::batch, expr_names::head, expr_names::k, expr_names::q, expr_names::score;

namespace {

constexpr int word_bits = 32;

// Bit k of a row of words.
Expr bit_of_key(std::string_view words) {
  const TensorName tensor(words, DType::i32);
  return bit(tensor(batch, q, floor_divide(k, word_bits)), Expr(k) % word_bits);
}

}  // namespace

Expr causal() { return k <= q; }

Expr sliding_window(const Expr& left, const Expr& right) { return k >= q - left && k <= q + right; }

Expr sinks(const Expr& n) { return k < n; }

Expr prefix(const Expr& n) { return k <= q || k < n; }

Expr chunked(const Expr& n) { return floor_divide(q, n) == floor_divide(k, n); }

Expr block_local(const Expr& n, const Expr& anchor) { return chunked(n) || k < anchor; }

Expr dilated(const Expr& n) { return (q - k) % n == 0; }

Expr document(std::string_view ids) {
  const TensorName id(ids, DType::i32);
  return id(batch, q) == id(batch, k);
}

Expr padding(std::string_view lengths) { return k < TensorName(lengths, DType::i32)(batch); }

Expr tree(std::string_view ancestors) { return bit_of_key(ancestors); }

Expr bitmask(std::string_view words) { return bit_of_key(words); }

Expr softcap(const Expr& cap) { return cap * tanh(score / cap); }

Expr alibi(std::string_view slopes) {
  return score + TensorName(slopes, DType::f32)(head) * (k - q);
}

Expr relative_bias(const Expr& reach, std::string_view table) {
  return score + TensorName(table, DType::f32)(head, k - q + reach);
}

Expr additive_bias(std::string_view bias, DType dtype) {
  return score + TensorName(bias, dtype)(batch, head, q, k);
}

Expr temperature(std::string_view factors) { return score * TensorName(factors, DType::f32)(q); }

}  // namespace streamattn
