// Merging results of attention over shares of the keys: its arguments and its kernel.
#pragma once

#include <cstdint>
#include <memory>

#include "streamattn/export.h"
#include "streamattn/kernel.h"
#include "streamattn/tensor.h"

namespace streamattn {

/// Arguments of a merge launch: forward calls of the same queries, each over some of the keys, make
/// one over all of them. Memory is on the kernel's device (host memory for the CPU). No element of
/// o and lse may share memory with another element of any tensor.
///
///   LSE = log(sum_s exp(LSE_s))     O = sum_s exp(LSE_s - LSE) O_s
///
/// A share with an LSE of -inf has no keys: its O does not count, whatever it holds. A row without
/// keys in any share gives O = 0 and LSE = -inf. A sink belongs in one share alone.
struct MergeArgs {
  /// Shares one behind the other, two at least: entry s * batch + b is that of share s, b an entry
  /// of o.
  Tensor share_o;    ///< dtype or f32 [shares * batch, q_len, heads, value_head_dim]
  Tensor share_lse;  ///< f32 [shares * batch, q_len, heads, 1], natural log

  Tensor o;         ///< dtype or f32 [batch, q_len, heads, value_head_dim]
  Tensor lse = {};  ///< f32 [batch, q_len, heads, 1]; left out: not written

  int max_sms = 0;  ///< most multiprocessors (threads on the CPU) to use; 0: all
};

/// A kernel that merges. Of its problem, the dtype and the value head dim count.
class STREAMATTN_API MergeKernel final : public Kernel {
 public:
  static constexpr Operation served = Operation::merge;

  /// Internal: kernels come from Jit::merge().
  MergeKernel(KernelOrigin origin, std::unique_ptr<const Executor> executor);

  /// Enqueues one call on `stream`, on the terms of ForwardKernel::launch(). Needs no workspace.
  void launch(const MergeArgs& args, Stream stream = nullptr) const;
};

}  // namespace streamattn
