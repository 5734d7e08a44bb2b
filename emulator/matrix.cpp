// Warps come together for matrix instructions.
#include "emulator/matrix.h"

#include "emulator/violation.h"

namespace streamattn::emulator {

Matrix::Matrix(Threads& threads, SharedMemory& memory) : threads_(threads) {
  for (int w = 0; w < threads.warps(); w++)
    queues_.emplace_back(memory, threads.new_actor(), threads.name().index, w);
}

void Matrix::fence(Site at) {
  threads_.converge_warpgroup("wgmma.fence", at, [&] { queue().fence(); });
}

void Matrix::issue(const WgmmaCall& call, Site at) {
  threads_.converge_warpgroup(
      "wgmma.mma_async", at,
      [&] {
        WgmmaQueue::LaneCalls calls;
        WgmmaQueue::LaneClocks clocks;
        for (int l = 0; l < Threads::lanes; l++) {
          calls[l] = &threads_.scheduler().argument<const WgmmaCall>(l);
          clocks[l] = &threads_.of_lane(l).clock;
        }
        queue().issue(calls, clocks, at);
        threads_.scheduler().progress();
      },
      const_cast<WgmmaCall*>(&call));
}

void Matrix::commit(Site at) {
  threads_.converge_warpgroup("wgmma.commit_group", at, [&] {
    queue().commit();
    threads_.trace_instant("wgmma group", at);
  });
}

void Matrix::wait(int pending_groups, Site at) {
  threads_.converge_warpgroup("wgmma.wait_group", at, [&] {
    const std::uint32_t done = queue().wait(pending_groups);
    for (int l = 0; l < Threads::lanes; l++)
      threads_.of_lane(l).clock.learn_async(queue().actor(), done);
    threads_.trace_instant("wgmma wait", at);
  });
}

void Matrix::touch(const void* registers, int bytes, Site at) {
  threads_.enter(at);
  queue().touch(threads_.lane(), registers, bytes);
}

void Matrix::in_flight_used(Site at) {
  threads_.enter(at);
  violate("computes with an accumulator while {0}", queue().unfinished());
}

void Matrix::check_exit() {
  if (!queue().idle()) violate("exits while {0}", queue().oldest());
}

}  // namespace streamattn::emulator
