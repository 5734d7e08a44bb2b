// Two GPUs, an H200 and an A100, that load kernels and run none, in place of those of the machine.
#pragma once

#include <dlfcn.h>

#include <algorithm>

#include "streamattn/jit.h"
#include "tests/support/catch.h"

namespace streamattn {

/// Makes the fake the driver of this process.
inline void use_fake_gpu() {
  REQUIRE(dlopen(FAKE_GPU, RTLD_NOW | RTLD_GLOBAL));
  REQUIRE(Jit::create().target().name == "sm_90a");
}

inline bool has_nvrtc() { return std::ranges::any_of(find_nvrtc(), &NvrtcCandidate::usable); }

}  // namespace streamattn
