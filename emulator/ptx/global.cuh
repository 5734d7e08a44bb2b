// Global memory; contracts are those of templates/ptx/global.cuh.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

template <class T>
SA_DEVICE T load_global(const T* from, SA_SITE) {
  T value;
  streamattn_machine->load_global(from, &value, sizeof(T), site);
  return value;
}

SA_DEVICE void prefetch_l2(const void*) {}

template <class T>
SA_DEVICE void store_global(T* to, T value, SA_SITE) {
  streamattn_machine->store_global(to, &value, sizeof(T), site);
}
SA_DEVICE void store_global(float* to, float value, SA_SITE) {
  arrived(value, site);
  streamattn_machine->store_global(to, &value, sizeof(float), site);
}

SA_DEVICE void begin_second_stores(SA_SITE) { streamattn_machine->begin_second_stores(site); }

SA_DEVICE u32 atomic_increment(u32* word, u32 last, SA_SITE) {
  return streamattn_machine->atomic_inc(word, last, site);
}

SA_DEVICE u32 load_acquire(const u32* from, SA_SITE) {
  return streamattn_machine->load_acquire(from, site);
}

SA_DEVICE void store_release(u32* to, u32 value, SA_SITE) {
  streamattn_machine->store_release(to, value, site);
}

SA_DEVICE u32 atomic_add(u32* word, u32 addend, SA_SITE) {
  return streamattn_machine->atomic_add(word, addend, site);
}

SA_DEVICE void fence_gpu(SA_SITE) { streamattn_machine->fence_gpu(site); }

SA_DEVICE void fence_global_to_async(SA_SITE) { streamattn_machine->fence_global_to_async(site); }

}  // namespace streamattn
