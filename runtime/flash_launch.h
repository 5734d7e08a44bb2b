// Launch parameters of flash_wgmma kernels.
#pragma once

#include "runtime/forward_call.h"
#include "runtime/gpu_device.h"
#include "streamattn/schedule.h"
#include "templates/params.h"

namespace streamattn {

/// Everything but the tile counter. `tiles` is 0 where there is nothing to write.
ForwardParams flash_params(const Problem& problem, const Schedule& schedule,
                           const ForwardCall& call, const GpuDevice& device);

}  // namespace streamattn
