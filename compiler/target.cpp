// The table of targets.
#include "streamattn/target.h"

#include <string>

#include "streamattn/error.h"

namespace streamattn {
namespace {

constexpr std::int64_t mib = 1 << 20;

constexpr Target rows[] = {
    {.name = "sm_80",  // A100
     .compute_capability = 80,
     .min_nvrtc = 11000,
     .has_cp_async = true,
     .has_mma_sync = true,
     .smem_bytes = 166912,
     .registers = 65536,
     .sm_count = 108,
     .l2_bytes = 40 * mib},
    {.name = "sm_89",  // L4, L40S, RTX 4090
     .compute_capability = 89,
     .min_nvrtc = 11080,
     .has_cp_async = true,
     .has_mma_sync = true,
     .smem_bytes = 101376,
     .registers = 65536,
     .sm_count = 142,
     .l2_bytes = 96 * mib},
    {.name = "sm_90a",  // H100, H200
     .compute_capability = 90,
     .min_nvrtc = 12030,
     .has_cp_async = true,
     .has_mma_sync = true,
     .has_tma = true,
     .has_clusters = true,
     .has_wgmma = true,
     .smem_bytes = 232448,
     .registers = 65536,
     .sm_count = 132,
     .l2_bytes = 60 * mib},  // as an H200 reports it; an H100 has 50 MiB
    {.name = "sm_100a",      // B200
     .compute_capability = 100,
     .min_nvrtc = 12080,
     .has_cp_async = true,
     .has_mma_sync = true,
     .has_tma = true,
     .has_clusters = true,
     .has_tcgen05 = true,
     .smem_bytes = 232448,
     .registers = 65536,
     .sm_count = 148,
     .l2_bytes = 126 * mib},
    {.name = "cpu", .sm_count = 1, .l2_bytes = mib},
};

}  // namespace

std::span<const Target> targets() { return rows; }

const Target& find_target(std::string_view name) {
  std::string known;
  for (const Target& target : rows) {
    if (target.name == name) return target;
    known += (known.empty() ? "" : ", ") + std::string(target.name);
  }
  throw Error(ErrorCode::invalid_argument,
              "unknown target \"" + std::string(name) + "\", known: " + known);
}

}  // namespace streamattn
