// The table of targets.
#include "streamattn/target.h"

#include <string>

#include "streamattn/error.h"

namespace streamattn {
namespace {

constexpr Target rows[] = {
    {.name = "sm_90a",
     .smem_bytes = 232448,
     .sm_count = 132,
     .l2_bytes = 60 << 20,  // as an H200 reports it; an H100 has 50 MiB
     .has_wgmma = true,
     .is_cpu = false},
    {.name = "cpu",
     .smem_bytes = 0,
     .sm_count = 1,
     .l2_bytes = 1 << 20,
     .has_wgmma = false,
     .is_cpu = true},
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
