// What runs the calls of a kernel: a GPU, the host CPU, the emulator. The same for every operation.
#pragma once

#include "compiler/operations/resolved_call.h"
#include "streamattn/kernel.h"
#include "streamattn/tensor.h"

namespace streamattn {

class Executor {
 public:
  virtual ~Executor() = default;

  /// Bytes of workspace that run() needs for `call`.
  virtual std::size_t workspace_bytes(const ResolvedCall& call) const = 0;

  /// Enqueues `call`. Throws Error (invalid_argument) for what it cannot address and for too small
  /// a workspace, and (launch_failed).
  virtual void run(const ResolvedCall& call, const Workspace& workspace, Stream stream) const = 0;
};

/// Throws Error (invalid_argument) unless `given` has `needed` bytes and is aligned.
void require_workspace(const Workspace& given, std::size_t needed);

}  // namespace streamattn
