// Masks and scores that have names. Each is an expression; && and || join them.
#pragma once

#include "streamattn/expr.h"

namespace streamattn {

// ---- Masks: which keys a query sees. Numbers may be constants or scalars.

/// The keys at or before its own position: "k <= q".
STREAMATTN_API Expr causal();

/// The nearest keys: at most `left` before its position and `right` after it.
STREAMATTN_API Expr sliding_window(const Expr& left, const Expr& right = 0);

/// The first `n` positions, whose keys attract attention whatever they hold (attention sinks:
/// Xiao et al., "Efficient Streaming Language Models with Attention Sinks", 2023).
STREAMATTN_API Expr sinks(const Expr& n);

/// causal(), but the first `n` positions see each other (prefix LM).
STREAMATTN_API Expr prefix(const Expr& n);

/// Its own chunk of `n` positions.
STREAMATTN_API Expr chunked(const Expr& n);

/// Its own block of `n` positions, and the first block of `anchor` positions.
STREAMATTN_API Expr block_local(const Expr& n, const Expr& anchor);

/// Every `n`th key, counted from its own.
STREAMATTN_API Expr dilated(const Expr& n);

/// The keys of its own document: `ids` is an i32 tensor [batch, position].
STREAMATTN_API Expr document(std::string_view ids = "document");

/// The keys that are no padding: `lengths` is an i32 tensor [batch].
STREAMATTN_API Expr padding(std::string_view lengths = "length");

/// The keys that it descends from in a tree of speculated tokens, and itself. `ancestors` is an i32
/// tensor [batch, q, word]: bit k % 32 of word k // 32 says that the token at position k is an
/// ancestor of that at q, or the token itself.
STREAMATTN_API Expr tree(std::string_view ancestors = "ancestors");

/// Any set: `words` is an i32 tensor [batch, q, word] of bits as in tree().
STREAMATTN_API Expr bitmask(std::string_view words = "bitmask");

// ---- Scores: what becomes of the scaled product of a query and a key.

/// Keeps it within +-cap: cap * tanh(score / cap).
STREAMATTN_API Expr softcap(const Expr& cap);

/// score + slope[head] * (k - q), slopes an f32 tensor [heads] (Press et al., "Train Short, Test
/// Long", 2021).
STREAMATTN_API Expr alibi(std::string_view slopes = "slope");

/// score + table[head, k - q + reach], an f32 tensor [heads, 2 * reach + 1]; farther keys take the
/// ends of the table.
STREAMATTN_API Expr relative_bias(const Expr& reach, std::string_view table = "table");

/// score + bias[batch, head, q, k].
STREAMATTN_API Expr additive_bias(std::string_view bias = "bias", DType dtype = DType::f32);

/// score * temperature[q], an f32 tensor.
STREAMATTN_API Expr temperature(std::string_view factors = "temperature");

}  // namespace streamattn
