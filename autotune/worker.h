// The other side of WorkerDevice: a process that builds, checks and times what it is told to.
#pragma once

#include <functional>
#include <istream>
#include <memory>

#include <llvm/Support/raw_ostream.h>

#include "autotune/tune_device.h"

namespace streamattn {

/// Answers requests, a JSON object a line each, until `in` ends. "build" needs no device: the first
/// other request makes one by `make_device`. After a candidate that crashed it returns, so that
/// nobody else gets to use what it broke.
void serve_worker(const Target& target,
                  const std::function<std::unique_ptr<TuneDevice>()>& make_device, std::istream& in,
                  llvm::raw_ostream& out);

}  // namespace streamattn
