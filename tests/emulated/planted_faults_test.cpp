// Faults planted in the shipped templates, each of which the emulator must name.
#include <iostream>
#include <vector>

#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"

using namespace streamattn;

namespace {

constexpr const char *flash = "forward/flash_wgmma.cuh", *ring = "parts/stage_ring.cuh",
                     *output = "parts/output.cuh", *tile = "parts/swizzled_tile.cuh",
                     *order = "parts/tile_order.cuh";

/// Goldens by what they have: Q in registers and an O buffer; O stored over Q; no overlap; Q and O
/// in shared memory of their own, and one warpgroup.
constexpr const char *registers = "flash_wgmma_bf16_d128_causal_no_ping_pong",
                     *over_q = "flash_wgmma_bf16_d128_causal_o_over_q",
                     *in_turns = "flash_wgmma_bf16_d128_causal_in_turns",
                     *wide = "flash_wgmma_bf16_d64x256";

struct Planted {
  const char* what;
  Fault fault;
  const char* golden;
  const char* cause;  ///< what the report says
};

const std::vector<Planted> planted = {
#include "/tmp/planted.inc"
};

}  // namespace

TEST_CASE("every planted fault is caught and its cause named") {
  for (const Planted& p : planted) {
    const std::string report = report_of(golden_case(p.golden), p.fault, {1, 2, 300, 300}, 1);
    std::string second;
    if (report == "nothing" || report == "wrong result")
      second = report_of(golden_case(p.golden), p.fault, {1, 2, 300, 300}, 2);
    std::cout << "## " << p.what << "\n   " << report.substr(0, 700)
              << (second.empty() ? "" : "\n  2: " + second.substr(0, 400)) << std::endl;
  }
}
