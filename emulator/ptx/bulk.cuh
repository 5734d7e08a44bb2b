// Bulk copies of bytes; contracts are those of templates/ptx/bulk.cuh.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

SA_DEVICE void bulk_load(u32 destination, const void* from, u32 bytes, u32 barrier, SA_SITE) {
  streamattn_machine->bulk_load(destination, from, bytes, barrier, site);
}

SA_DEVICE void bulk_store(void* to, u32 source, u32 bytes, SA_SITE) {
  streamattn_machine->bulk_store(to, source, bytes, /*adds=*/false, site);
}

SA_DEVICE void bulk_add(float* to, u32 source, u32 bytes, SA_SITE) {
  streamattn_machine->bulk_store(to, source, bytes, /*adds=*/true, site);
}

}  // namespace streamattn
