// mbarriers, named barriers and warp election; contracts are those of templates/ptx/barrier.cuh.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

SA_DEVICE void mbarrier_init(u32 barrier, u32 arrivals, SA_SITE) {
  streamattn_machine->mbarrier_init(barrier, arrivals, site);
}

SA_DEVICE void fence_mbarrier_init(SA_SITE) { streamattn_machine->fence_mbarrier_init(site); }

SA_DEVICE void mbarrier_arrive_expect(u32 barrier, u32 bytes, SA_SITE) {
  streamattn_machine->mbarrier_arrive(barrier, bytes, site);
}

SA_DEVICE void mbarrier_arrive(u32 barrier, SA_SITE) {
  streamattn_machine->mbarrier_arrive(barrier, 0, site);
}

SA_DEVICE void mbarrier_wait(u32 barrier, u32 parity, SA_SITE) {
  streamattn_machine->mbarrier_wait(barrier, parity, site);
}

SA_DEVICE void mbarrier_wait_cluster(u32 barrier, u32 parity, SA_SITE) {
  streamattn_machine->mbarrier_wait_cluster(barrier, parity, site);
}

SA_DEVICE bool mbarrier_test(u32 barrier, u32 parity, SA_SITE) {
  return streamattn_machine->mbarrier_test(barrier, parity, site);
}

SA_DEVICE void named_barrier_sync(int id, int threads, SA_SITE) {
  streamattn_machine->named_barrier(id, threads, /*wait=*/true, site);
}

SA_DEVICE void named_barrier_arrive(int id, int threads, SA_SITE) {
  streamattn_machine->named_barrier(id, threads, /*wait=*/false, site);
}

SA_DEVICE bool named_barrier_any(int id, int threads, bool value, SA_SITE) {
  return streamattn_machine->named_barrier_any(id, threads, value, site);
}

SA_DEVICE bool elect_one(SA_SITE) { return streamattn_machine->elect(site); }

}  // namespace streamattn
