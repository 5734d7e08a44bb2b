// Shared memory; contracts are those of templates/ptx/shared.cuh.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

/// What kernels declare as their dynamic shared memory: a name, not a place.
inline unsigned char memory[1];

/// Dynamic shared memory begins behind the 1 KiB that the hardware keeps for itself.
SA_DEVICE u32 shared_address(const void* p) {
  return 1024 + (u32)(static_cast<const unsigned char*>(p) - memory);
}

SA_DEVICE void store_shared(u32 address, int4 value, SA_SITE) {
  streamattn_machine->store_shared(address, &value, site);
}

SA_DEVICE int4 load_shared(u32 address, SA_SITE) {
  int4 value;
  streamattn_machine->load_shared(address, &value, site);
  return value;
}

SA_DEVICE void load_matrix_x4(u32 address, u32& r0, u32& r1, u32& r2, u32& r3, SA_SITE) {
  u32 registers[4];
  streamattn_machine->load_matrix_x4(address, registers, site);
  r0 = registers[0], r1 = registers[1], r2 = registers[2], r3 = registers[3];
}

SA_DEVICE void store_matrix_x4(u32 address, u32 r0, u32 r1, u32 r2, u32 r3, SA_SITE) {
  const u32 registers[4] = {r0, r1, r2, r3};
  streamattn_machine->store_matrix_x4(address, registers, site);
}

SA_DEVICE void store_matrix_x2_transposed(u32 address, u32 r0, u32 r1, SA_SITE) {
  const u32 registers[2] = {r0, r1};
  streamattn_machine->store_matrix_x2_transposed(address, registers, site);
}

SA_DEVICE void store_matrix_x4_transposed(u32 address, u32 r0, u32 r1, u32 r2, u32 r3, SA_SITE) {
  const u32 registers[4] = {r0, r1, r2, r3};
  streamattn_machine->store_matrix_x4_transposed(address, registers, site);
}

SA_DEVICE void fence_shared_to_async(SA_SITE) { streamattn_machine->fence_shared_to_async(site); }

}  // namespace streamattn
