// What host and device share: launch parameters and the layout of shared memory.
#pragma once

#ifdef __CUDACC__
#define SA_ANYWHERE __host__ __device__
#else
#define SA_ANYWHERE
#endif

namespace streamattn {

/// A tensor map (CUtensorMap): 128 opaque bytes that the driver encodes.
struct alignas(64) TensorMap {
  unsigned long long opaque[16];
};

/// Element strides of a [batch, seq, heads, dim] tensor; the stride of dim is 1.
struct Strides {
  long long batch, seq, head;
};

// Parameters come in blocks, one for each part of a kernel that reads them; a skeleton's struct is
// made of the blocks that it needs. Row sub-ranges are already applied: pointers, maps, lengths and
// positions are those of the sub-range.

/// Rows of Q and of K and V.
struct SequenceParams {
  int q_len, kv_len;           // rows
  int q_position, k_position;  // global positions of row 0, what scores are computed from
};

/// Where the sequences of a batch lie, and which arrays say so. Compiled in.
struct BatchLayout {
  bool q_packed, kv_packed, kv_paged;
  bool q_lens, kv_lens;

  /// Whether every sequence has as many queries and keys as all others.
  SA_ANYWHERE constexpr bool is_equal() const {
    return !q_packed && !kv_packed && !kv_paged && !q_lens && !kv_lens;
  }

  /// Whether the memory behind a sequence's last query, or key, may hold something that is not its
  /// own.
  SA_ANYWHERE constexpr bool has_foreign_queries() const { return q_packed || q_lens; }
  SA_ANYWHERE constexpr bool has_foreign_keys() const { return kv_packed || kv_paged || kv_lens; }
};

/// Pages of keys, and which are whose.
struct PageParams {
  const int* block_table;  // [batch, ...]
  int block_table_stride;
  int page_size;
};

/// The sequences of a batch. Arrays are unset where the layout does not have them.
struct BatchParams {
  int batch;                   // sequences
  int q_len, kv_len;           // rows of the longest
  int q_position, k_position;  // global positions of rows 0
  int aligns_ends;             // not 0: the last query is at the last key, whatever q_position is
  const int *q_begins, *kv_begins;  // [batch + 1], rows of packed tensors
  const int *q_lens, *kv_lens;      // [batch]
  PageParams pages;
};

/// A tensor that a mask or a score names.
struct NamedTensor {
  const void* data;
  long long strides[4];  // in elements; 0 behind the last dimension, as in sizes
  int sizes[4];
};

/// What a mask and a score name, in the order in which names are first met.
struct NamedValues {
  static constexpr int most_scalars = 8, most_tensors = 6;

  int scalars[most_scalars];  // or the bits of a float32
  NamedTensor tensors[most_tensors];
};

/// What scores are computed from besides positions.
struct ScoreParams {
  float scale_log2;   // scale of the scores times log2(e): softmax is computed in base 2
  float scale;        // of the products
  int q_len, kv_len;  // rows of the whole tensors
  NamedValues named;
};

/// Which weights are dropped, of kernels that drop some (parts/dropout.cuh).
struct DropoutParams {
  unsigned long long seed, offset;
  unsigned addend;  // in every byte: what takes the first seven bits of those that drop past 127
  unsigned half;    // ~0 where only bytes from 128 on drop, else 0
  float of_kept;    // what weights that are kept are multiplied by
};

/// Where O and LSE go.
struct OutputParams {
  void* o;
  float* lse;  // null: not written
  Strides o_strides, lse_strides;
};

/// Where the rows of a tensor are, for those who read them without TMA.
struct RowsParams {
  const void* data;
  Strides strides;
};

/// Where results of shares of the keys go, each by itself: float32, dense. Where sequences differ,
/// [places of the list, heads, tile_q, value_head_dim].
struct PartialParams {
  float* o;    // [splits, batch * heads, rows, value_head_dim]
  float* lse;  // [splits, batch * heads, rows]
};

/// Work items are (section of heads, query tile, head of the section, share of the keys), the last
/// one fastest and query tiles from the last to the first: under a causal mask the longest come
/// first. A head index here counts batch * heads. Query heads that share tiles count as one.
///
/// Where sequences differ they are (section of heads, place of the list, head of the section), and
/// heads those of one sequence.
struct OrderParams {
  int items;               // work items in all; where sequences differ, the most there can be
  int q_tiles;             // query tiles of a head; where sequences differ, places of the list
  int heads;               // heads of one batch entry
  int all_heads;           // batch * heads
  int section_heads;       // heads of a section; the last section may have fewer
  int splits;              // shares of the keys of a query tile; 1 unless the kernel splits them
  unsigned* item_counter;  // zero between launches; null: items go to blocks round-robin
};

/// Which key tiles the queries of a tile see, where that depends on data: written by key_lists,
/// read by the kernel behind it. A list is a count and so many entries (parts/key_list.cuh), tiles
/// from the last to the first.
struct KeyListParams {
  int* lists;          // [batches, heads, q_tiles, 1 + key_tiles]
  int* bounds;         // of what positions are tested for, see tile_bounds
  int batches, heads;  // 1 where the mask does not depend on it
  int q_tiles, key_tiles;
};

/// The query tiles of sequences that differ: written by query_tiles, read by the kernels behind it
/// (forward/query_list.cuh).
struct QueryListParams {
  int* words;  // 4, the first of them a count, and 8 for each tile, or share of its keys
};

/// How the keys of listed query tiles are shared out, where they are (forward/key_shares.cuh).
struct KeySharesParams {
  int places;  // of the list
  int heads;   // work items of a place
  int blocks;  // that compute them
  int splits;  // of the tile that sees the most keys; 0: by lengths
};

/// How tiles of K and V are loaded page by page.
struct PagedKeysParams {
  PageParams pages;
  int box_rows;  // of the maps of k and v: divides a page and a tile; 0: rows are copied
  RowsParams k;  // where they are copied; V is at v_rows
  int kv_heads;
};

/// Parameters of query_tiles.
struct QueryListingParams {
  BatchParams batch;
  ScoreParams score;
  QueryListParams queries;
  KeySharesParams shares;  // unset unless keys are split
};

/// Parameters of tile_bounds and key_lists.
struct ListingParams {
  SequenceParams sequence;
  ScoreParams score;
  KeyListParams lists;
};

/// Parameters of flash_wgmma.
struct FlashParams {
  TensorMap q, k, v;      // boxes of one chunk of columns times the rows of a tile
  TensorMap o;            // boxes of one chunk times 64 rows; unset where O goes another way
  OutputParams output;    // not read where keys are split
  PartialParams partial;  // unset where they are not split
  SequenceParams sequence;
  ScoreParams score;
  OrderParams order;
  KeyListParams lists;  // unset unless the kernel walks lists
  RowsParams v_rows;
  DropoutParams dropout;
  QueryListParams
      queries;            // unset unless sequences differ: lengths in `sequence` then do not count
  PagedKeysParams paged;  // unset unless keys are paged
};

/// Parameters of combine, which merges the results of shares. Heads count as in OrderParams.
struct CombineParams {
  PartialParams partial;
  OutputParams output;
  int rows, heads, all_heads;  // rows of a head; all_heads = batch * heads; all_heads * rows < 2^31
  int packed_heads;            // query heads of a head, rows of which follow each other
  int columns;                 // value_head_dim, a multiple of 8
  int splits;
};

/// Parameters of combine_listed, which does so where sequences differ.
struct ListedCombineParams {
  PartialParams partial;
  OutputParams output;  // strides of the batch are 0 where queries are packed
  QueryListParams queries;
  int tile_q;               // rows of a tile; all results have less than 2^31
  int heads, packed_heads;  // of a sequence; query heads of each, rows of which follow each other
  int columns;              // value_head_dim, a multiple of 8
};

/// Bytes of the k dimension that one matrix instruction takes: k16 of 16 bits.
constexpr int k_step_bytes = 32;

/// Columns that shared memory and matrix instructions see: whole k-steps.
SA_ANYWHERE constexpr int padded_columns(int columns, int element_bytes = 2) {
  int step = k_step_bytes / element_bytes;
  return (columns + step - 1) / step * step;
}

/// Columns of one chunk of a tile: a row of a chunk is one swizzle span (128, 64 or 32 bytes), the
/// widest that divides the padded columns.
SA_ANYWHERE constexpr int chunk_columns(int columns, int element_bytes = 2) {
  int padded_bytes = padded_columns(columns, element_bytes) * element_bytes;
  int span = padded_bytes % 128 == 0 ? 128 : padded_bytes % 64 == 0 ? 64 : 32;
  return span / element_bytes;
}

/// The way of O to global memory; each is an epilogue of its own.
enum class OutputPath {
  over_q,    ///< through the shared memory of Q, which is free by then, and on by TMA
  buffered,  ///< through shared memory of its own, and on by TMA while the next tile begins
  direct,    ///< from registers
  partial,   ///< keys are split: from registers to the results of shares, which combine merges
};

/// Tiles of a forward kernel and their places in shared memory, in bytes. Every tile starts on a
/// boundary of its swizzle pattern as long as the base is 1024-byte aligned.
struct FlashTiling {
  int head_dim, value_head_dim;
  int tile_q, tile_kv, stages;
  OutputPath output;
  int o_passes;          // parts in which O goes through its buffer
  int packed_heads = 1;  // heads of a group whose rows lie in one tile, query by query
  BatchLayout layout = {};

  static constexpr int element_bytes = 2;

  SA_ANYWHERE constexpr int q_bytes() const { return tile_bytes(tile_q, head_dim); }
  SA_ANYWHERE constexpr int k_bytes() const { return tile_bytes(tile_kv, head_dim); }
  SA_ANYWHERE constexpr int v_bytes() const { return tile_bytes(tile_kv, value_head_dim); }
  SA_ANYWHERE constexpr int o_bytes() const {
    bool from_registers = output == OutputPath::direct || output == OutputPath::partial;
    return from_registers ? 0 : tile_bytes(tile_q, value_head_dim) / o_passes;
  }

  SA_ANYWHERE constexpr int q_offset() const { return 0; }
  SA_ANYWHERE constexpr int k_offset() const {
    return aligned(output == OutputPath::over_q && o_bytes() > q_bytes() ? o_bytes() : q_bytes());
  }
  SA_ANYWHERE constexpr int v_offset() const { return aligned(k_offset() + stages * k_bytes()); }
  SA_ANYWHERE constexpr int o_offset() const {
    return output == OutputPath::over_q ? q_offset() : v_offset() + stages * v_bytes();
  }
  SA_ANYWHERE constexpr int barrier_offset() const {
    int tiles_end = v_offset() + stages * v_bytes();
    return output == OutputPath::over_q ? tiles_end : tiles_end + o_bytes();
  }
  /// Behind the tile slot (16 bytes), full and empty barriers of Q and of every stage of K and V.
  SA_ANYWHERE constexpr int screen_offset() const {
    return barrier_offset() + 16 + 8 * (2 + 4 * stages);
  }
  /// Places of the queue of tiles on their way to the screen: those that it can have at a time, V,
  /// or K, V twice and Q, and the end. Where sequences differ an even number.
  SA_ANYWHERE constexpr int screen_places() const {
    return layout.is_equal() ? stages + 1 : 3 * stages + 2 + stages % 2;
  }
  /// Behind the screen's barriers.
  SA_ANYWHERE constexpr int repeats_offset() const { return screen_offset() + 32; }
  /// Items that may be computed again: those whose tiles were on their way to the screen, and the
  /// one behind them.
  SA_ANYWHERE constexpr int most_repeats() const { return stages + 1; }
  /// Behind a count and these (16 bytes each).
  SA_ANYWHERE constexpr int queue_offset() const {
    return repeats_offset() + 16 * (1 + most_repeats());
  }
  /// Behind notes (16 bytes) and barriers of the queue.
  SA_ANYWHERE constexpr int sequence_offset() const {
    return queue_offset() + 24 * screen_places();
  }
  /// Where sequences differ, what the slot has no room for.
  SA_ANYWHERE constexpr int bytes() const {
    int of_sequence = output == OutputPath::partial ? 32 : 16;
    return sequence_offset() + (layout.is_equal() ? 0 : of_sequence);
  }

 private:
  SA_ANYWHERE static constexpr int tile_bytes(int rows, int columns) {
    return rows * padded_columns(columns, element_bytes) * element_bytes;
  }
  // For a pattern that is larger than that of the tile in front: few columns have a small one.
  SA_ANYWHERE static constexpr int aligned(int bytes) { return (bytes + 1023) / 1024 * 1024; }
};

}  // namespace streamattn
