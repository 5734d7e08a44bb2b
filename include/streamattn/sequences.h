// How the sequences of a batch lie in memory, and where their lengths stand.
#pragma once

#include <cstdint>
#include <string_view>

#include "streamattn/export.h"

namespace streamattn {

/// How the rows of the sequences of a batch lie in a tensor.
enum class SequenceLayout {
  dense,   ///< [batch, seq, heads, dim]: an entry of the batch each
  packed,  ///< [1, tokens, heads, dim]: one behind the other, found by cu_seqlens
  paged,   ///< [pages, page_size, heads, dim]: in pages anywhere, found by block_table; keys alone
};

/// The name used in text, TOML and flags: "dense", "packed", "paged".
STREAMATTN_API std::string_view name(SequenceLayout layout);

/// The layout called `text`. Throws Error (invalid_argument) that lists the known names.
STREAMATTN_API SequenceLayout parse_sequence_layout(std::string_view text);

/// Lengths and places of the sequences of a batch, where a problem says that they differ. Arrays
/// are int32 in memory of the kernel's device (the host for the CPU) and are read by the launch
/// when it runs: a captured graph replays with what they hold by then. Owns nothing.
///
/// A length is cut to what there is room for, and to 0 from below. Memory behind a length, and
/// pages that no sequence refers to below its length, have no influence, whatever they hold.
struct Sequences {
  /// Sequences in the batch. With a dense q it may be left out: q's batch.
  std::int64_t batch = 0;

  /// [batch + 1] each, for packed tensors: sequence b has rows [c[b], c[b + 1]) of q, o and lse, or
  /// of k and v. They begin with 0 or more, never descend and end within the tensor.
  const std::int32_t* cu_seqlens_q = nullptr;
  const std::int32_t* cu_seqlens_kv = nullptr;

  /// [batch] each, where the problem has them: only so many of a sequence's rows count, the first
  /// ones ("seqused" elsewhere). Rows of o and lse behind them are not written.
  const std::int32_t* q_lens = nullptr;
  const std::int32_t* kv_lens = nullptr;

  /// [batch, pages], for paged keys: entry p of a row is the page of keys [p * page_size,
  /// (p + 1) * page_size). Entries behind a length are not read. One below 0 is a page that was
  /// given back: its keys are read as zeros, and the mask must hide them.
  const std::int32_t* block_table = nullptr;
  std::int64_t pages = 0;               ///< entries of a row
  std::int64_t block_table_stride = 0;  ///< elements from row to row; 0: pages

  /// No sequence has more rows; 0: as many as there is room for. Tight ones save work: a packed q
  /// of many sequences has room for all its rows in each.
  std::int64_t max_q_len = 0;
  std::int64_t max_kv_len = 0;
};

}  // namespace streamattn
