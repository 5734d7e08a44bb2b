// Where a kernel runs: one GPU architecture, or the host CPU. Needs no GPU.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "streamattn/export.h"

namespace streamattn {

/// One row of the target table: the facts of an architecture. Families ask for features, never for
/// names.
struct Target {
  std::string_view name;   ///< "sm_90a", "cpu"
  int compute_capability;  ///< 90 for 9.0; 0 on the CPU
  int min_nvrtc;           ///< the oldest that compiles for it: 12030 for 12.3; 0 on the CPU

  bool has_cp_async;  ///< asynchronous copies of a thread (sm_80)
  bool has_mma_sync;  ///< matrix instructions of a warp on bf16 (sm_80)
  bool has_tma;       ///< bulk tensor copies (sm_90)
  bool has_clusters;  ///< blocks that share memory (sm_90)
  bool has_wgmma;     ///< matrix instructions of a warpgroup (sm_90a alone)
  bool has_tcgen05;   ///< matrix instructions on tensor memory (sm_100a)

  int smem_bytes;         ///< most dynamic shared memory of a block; 0 on the CPU
  int registers;          ///< of a multiprocessor, 32 bits each; 0 on the CPU
  int sm_count;           ///< of the full chip, for choices made without a device; 1 on the CPU
  std::int64_t l2_bytes;  ///< likewise

  bool is_cpu() const { return compute_capability == 0; }

  friend bool operator==(const Target& a, const Target& b) { return a.name == b.name; }
};

/// Every known target.
STREAMATTN_API std::span<const Target> targets();

/// The target called `name`. Throws Error (invalid_argument) that lists the known names.
STREAMATTN_API const Target& find_target(std::string_view name);

/// Those of targets() that some family has kernels for.
STREAMATTN_API std::span<const Target* const> served_targets();

}  // namespace streamattn
