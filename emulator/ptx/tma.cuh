// Bulk tensor copies; contracts are those of templates/ptx/tma.cuh.
#pragma once

#include "params.h"
#include "ptx/types.cuh"

namespace streamattn {

enum class CachePolicy : u64 { evict_first, evict_last };

SA_DEVICE void tma_load(u32 destination, const TensorMap& map, u32 barrier, int column, int row,
                        int head, int batch, CachePolicy, SA_SITE) {
  streamattn_machine->tma_load(destination, map, barrier, {column, row, head, batch}, site);
}

SA_DEVICE void tma_load(u32 destination, const TensorMap& map, u32 barrier, int column, int row,
                        int head, int batch, SA_SITE) {
  streamattn_machine->tma_load(destination, map, barrier, {column, row, head, batch}, site);
}

SA_DEVICE void tma_store(const TensorMap& map, u32 source, int column, int row, int head, int batch,
                         SA_SITE) {
  streamattn_machine->tma_store(map, source, {column, row, head, batch}, site);
}

SA_DEVICE void tma_store_commit(SA_SITE) { streamattn_machine->tma_store_commit(site); }

SA_DEVICE void tma_store_wait_read(SA_SITE) { streamattn_machine->tma_store_wait_read(site); }

SA_DEVICE void tma_store_wait(SA_SITE) { streamattn_machine->tma_store_wait(site); }

SA_DEVICE void tma_prefetch_map(const TensorMap&) {}

}  // namespace streamattn
