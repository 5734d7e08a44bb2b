// Mask expressions: which keys a query may see.
#pragma once

#include <string>
#include <string_view>

#include "streamattn/export.h"

namespace streamattn {

/// A boolean expression over the global positions `q` and `k`. Two spellings of one mask are equal.
/// The language holds "true" and "k <= q" so far; anything else is refused by parse().
class STREAMATTN_API Expr {
 public:
  /// Every query sees every key.
  Expr() : text_("true") {}

  /// Parses `text`. Throws Error (invalid_problem) with a caret under the offending character.
  static Expr parse(std::string_view text);

  /// The canonical spelling; parse(text()) gives an equal expression.
  const std::string& text() const { return text_; }

  /// Evaluates the mask for one pair of positions.
  bool evaluate(long long q, long long k) const;

  friend bool operator==(const Expr&, const Expr&) = default;

 private:
  explicit Expr(std::string text) : text_(std::move(text)) {}
  friend STREAMATTN_API Expr causal();

  std::string text_;
};

/// A query sees the keys at or before its own position: "k <= q".
STREAMATTN_API Expr causal();

}  // namespace streamattn
