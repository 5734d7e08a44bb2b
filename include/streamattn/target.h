// Where a kernel runs: one GPU architecture, or the host CPU. Needs no GPU.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "streamattn/export.h"

namespace streamattn {

/// One row of the target table. Families ask for features, never for names.
struct Target {
  std::string_view name;  ///< "sm_90a", "cpu"
  int smem_bytes;         ///< most dynamic shared memory of a block; 0 on the CPU
  int sm_count;           ///< of the full chip, for choices made without a device; 1 on the CPU
  std::int64_t l2_bytes;  ///< likewise
  bool has_wgmma;         ///< warpgroup matrix instructions and the tensor memory accelerator
  bool is_cpu;

  friend bool operator==(const Target& a, const Target& b) { return a.name == b.name; }
};

/// Every known target.
STREAMATTN_API std::span<const Target> targets();

/// The target called `name`. Throws Error (invalid_argument) that lists the known names.
STREAMATTN_API const Target& find_target(std::string_view name);

}  // namespace streamattn
