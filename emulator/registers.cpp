// Giving registers back and waiting for them.
#include "emulator/registers.h"

#include "emulator/violation.h"

namespace streamattn::emulator {
namespace {

constexpr int most_registers = 256;

}  // namespace

void Registers::set(int count, bool grow, Site at) {
  threads_.converge_warpgroup("setmaxnreg", at, [&] {
    Warp& warp = warps_[threads_.warp()];
    if (count % 8 != 0 || count < 24 || count > most_registers)
      violate("asks for {0} registers; multiples of 8 from 24 to 256 exist", count);
    if (!grow && count > warp.held)
      violate("gives registers back to keep {0} of {1}", count, warp.held);
    // Where the launch bounds leave a thread all there are, ptxas takes no more than it grows to.
    if (grow && count < warp.held && warp.held < most_registers)
      violate("grows to {0} registers from {1}", count, warp.held);
    warp.requested = count;
    if (!grow) {
      spare_ += (warp.held - count) * Threads::lanes;
      warp.held = count;
    }
    grant();
  });
  while (warps_[threads_.warp()].held < count)
    threads_.block({WaitReason::registers, static_cast<unsigned>(count)});
}

void Registers::grant() {
  for (int w = 0; w < threads_.warps(); w++) {
    const int needed = (warps_[w].requested - warps_[w].held) * Threads::lanes;
    if (needed <= 0 || needed > spare_) continue;
    spare_ -= needed;
    warps_[w].held = warps_[w].requested;
    threads_.wake_warp(w);
  }
}

}  // namespace streamattn::emulator
