// Copies that a thread starts; contracts are those of templates/ptx/async_copy.cuh.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

SA_DEVICE void copy_async(u32 to, const void* from, bool exists, SA_SITE) {
  streamattn_machine->copy_async(to, from, exists, site);
}

SA_DEVICE void copy_async_arrive(u32 barrier, SA_SITE) {
  streamattn_machine->copy_async_arrive(barrier, site);
}

}  // namespace streamattn
