// Appending to a cache of keys and values: its arguments and its kernel.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "streamattn/export.h"
#include "streamattn/kernel.h"
#include "streamattn/sequences.h"
#include "streamattn/tensor.h"

namespace streamattn {

/// Which columns of a row make a pair that is turned together.
enum class RopeStyle {
  none,         ///< nothing is turned: rows are copied bit for bit
  interleaved,  ///< columns 2 i and 2 i + 1 (GPT-J)
  split_half,   ///< columns i and i + dim / 2 (GPT-NeoX, Llama)
};

/// The name used in text and flags: "none", "interleaved", "split_half".
STREAMATTN_API std::string_view name(RopeStyle style);

/// The style called `text`. Throws Error (invalid_argument) that lists the known names.
STREAMATTN_API RopeStyle parse_rope_style(std::string_view text);

/// Rotary position embedding of the first `dim` columns of a row: at position p, pair i is turned
/// by p / factor * theta^(-2 i / dim) radians. Columns behind them are copied bit for bit.
///
/// Angles are right to 2^-32 turns at every position; sines, cosines and the rotation are float32.
/// A turned column differs from the exact value by half a unit in the last place of the dtype and
/// 2^-21 of the sum of its pair's absolute values at the most.
struct Rope {
  RopeStyle style = RopeStyle::none;
  int dim = 0;         ///< even, at most head_dim; 0: head_dim
  double theta = 1e4;  ///< finite and positive, as factor
  double factor = 1;   ///< positions are divided by it: linear scaling

  /// In place of theta and factor: f32 [1, positions, 1, dim / 2] each, row p of which is for
  /// position p. A position outside takes the nearest row.
  Tensor cos = {}, sin = {};
};

/// Arguments of an append launch. Memory is on the kernel's device (host memory for the CPU). No
/// element of k, v and rotated_q may share memory with another of them or with an input;
/// rotated_q may be q.
///
/// `sequences` are those of the forward call that comes next, which reads the cache with all of its
/// rows: kv_lens, cu_seqlens_kv or the rows of a dense k count the new ones. So token i of the
/// q_len new ones of a sequence with kv_len rows goes to row kv_len - q_len + i. A row that has no
/// place (in front of row 0, behind max_kv_len, the tensor or the table, in a page that was given
/// back) is not written; nothing else of the cache is read or written.
struct AppendArgs {
  Tensor new_k;  ///< dtype, as q_layout says: [batch, q_len, kv_heads, head_dim]
  Tensor new_v;  ///< dtype [batch, q_len, kv_heads, value_head_dim]
  Tensor k;      ///< dtype, as kv_layout says: [batch, kv_len, kv_heads, head_dim]
  Tensor v;      ///< dtype [batch, kv_len, kv_heads, value_head_dim]

  Rope rope = {};  ///< of k and q

  /// Turned on the way, too: dtype [batch, q_len, kv_heads * group_size, head_dim]. Both or none.
  Tensor q = {}, rotated_q = {};

  /// Global position of row 0 of the cache, as of the forward launch: row r of a sequence is at
  /// position k_offset + r.
  std::int64_t k_offset = 0;

  Sequences sequences = {};

  int max_sms = 0;  ///< most multiprocessors (threads on the CPU) to use; 0: all
};

/// A kernel that appends. Of its problem, types, head dims, group size and layouts count.
class STREAMATTN_API AppendKernel final : public Kernel {
 public:
  static constexpr Operation served = Operation::append;

  /// Internal: kernels come from Jit::append().
  AppendKernel(KernelOrigin origin, std::unique_ptr<const Executor> executor);

  /// Enqueues one call on `stream`, on the terms of ForwardKernel::launch(). Needs no workspace.
  void launch(const AppendArgs& args, Stream stream = nullptr) const;
};

}  // namespace streamattn
