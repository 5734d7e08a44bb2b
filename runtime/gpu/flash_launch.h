// Launch parameters of flash_wgmma kernels.
#pragma once

#include <cstdint>

#include "compiler/operations/forward_call.h"
#include "runtime/gpu/device.h"
#include "streamattn/schedule.h"
#include "templates/params.h"

namespace streamattn {

/// A 16-bit tensor with unit stride in `dim`, and the box in which TMA moves it: everything that a
/// tensor map depends on.
struct BoxedTensor {
  void* data;
  std::uint64_t dims[4];          // dim, seq, heads, batch
  std::uint64_t byte_strides[3];  // of all but dim
  DType type;
  int rows, columns;  // of the box; a row is one swizzle span

  friend bool operator==(const BoxedTensor&, const BoxedTensor&) = default;
};

/// What a launch needs to know of the machine that it is for.
struct FlashDevice {
  int sms;
  std::int64_t l2_bytes;
  /// Makes a tensor map; `name` is for the message of an Error.
  TensorMap (*encode)(const char* name, const BoxedTensor& tensor);
};

/// The machine behind the driver.
FlashDevice flash_device(const GpuDevice& device);

/// Shares of the keys of a query tile, and the memory for their results.
struct KeySplit {
  int splits = 1;
  PartialParams partial = {};
};

/// Everything but the item counter. `order.items` is 0 where there is nothing to write. Throws
/// Error (invalid_schedule) where the schedule splits keys and `split` has no memory.
FlashParams flash_params(const Problem& problem, const Schedule& schedule, const ForwardCall& call,
                         const FlashDevice& device, const KeySplit& split = {});

/// What combine is launched with after that.
CombineParams combine_params(const ForwardCall& call, const KeySplit& split);

}  // namespace streamattn
