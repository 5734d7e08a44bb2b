// Clusters; contracts are those of templates/ptx/cluster.cuh.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

SA_DEVICE void cluster_arrive(SA_SITE) {
  streamattn_machine->cluster_arrive(/*relaxed=*/false, site);
}

SA_DEVICE void cluster_arrive_relaxed(SA_SITE) {
  streamattn_machine->cluster_arrive(/*relaxed=*/true, site);
}

SA_DEVICE void cluster_wait(SA_SITE) { streamattn_machine->cluster_wait(site); }

SA_DEVICE u32 shared_of_peer(u32 address, u32 rank, SA_SITE) {
  return streamattn_machine->shared_of_peer(address, rank, site);
}

SA_DEVICE void store_async(u32 to, float4 value, u32 barrier, SA_SITE) {
  streamattn_machine->store_async(to, &value, barrier, site);
}

}  // namespace streamattn
