// Warpgroup-wide state; contracts are those of templates/ptx/warpgroup.cuh.
#pragma once

#include "ptx/types.cuh"

namespace streamattn {

template <int Registers>
SA_DEVICE void shrink_registers(SA_SITE) {
  streamattn_machine->set_registers(Registers, /*grow=*/false, site);
}

template <int Registers>
SA_DEVICE void grow_registers(SA_SITE) {
  streamattn_machine->set_registers(Registers, /*grow=*/true, site);
}

SA_DEVICE void wgmma_fence(SA_SITE) { streamattn_machine->wgmma_fence(site); }

SA_DEVICE void wgmma_commit(SA_SITE) { streamattn_machine->wgmma_commit(site); }

template <int Pending>
SA_DEVICE void wgmma_wait(SA_SITE) {
  streamattn_machine->wgmma_wait(Pending, site);
}

template <class T, int N>
SA_DEVICE void pin(T (&registers)[N], SA_SITE) {
  streamattn_machine->touch_registers(registers, sizeof(registers), site);
}

SA_DEVICE void pin(u64&) {}
SA_DEVICE void pin(int&) {}

}  // namespace streamattn
