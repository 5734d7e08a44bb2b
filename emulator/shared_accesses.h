// Shared memory as threads reach it.
#pragma once

#include <span>

#include "emulator/shared_memory.h"
#include "emulator/threads.h"

namespace streamattn::emulator {

class SharedAccesses {
 public:
  SharedAccesses(Threads& threads, SharedMemory& memory) : threads_(threads), memory_(memory) {}

  void store(unsigned address, const void* from, Site at);
  void load(unsigned address, void* to, Site at);
  void load_matrix_x4(unsigned address, unsigned (&registers)[4], Site at);
  void store_matrix_x4(unsigned address, const unsigned (&registers)[4], Site at);
  void store_matrix_x2_transposed(unsigned address, const unsigned (&registers)[2], Site at);
  void store_matrix_x4_transposed(unsigned address, const unsigned (&registers)[4], Site at);
  void fence_to_async(Site at);

 private:
  void store_transposed(unsigned address, std::span<const unsigned> registers, Site at);

  Threads& threads_;
  SharedMemory& memory_;
};

}  // namespace streamattn::emulator
