// Global memory as threads reach it.
#pragma once

#include <vector>

#include "emulator/global_memory.h"
#include "emulator/threads.h"

namespace streamattn::emulator {

class GlobalAccesses {
 public:
  GlobalAccesses(Threads& threads, GlobalMemory& memory)
      : threads_(threads), memory_(memory), fences_(threads.count()) {}

  void load(const void* from, void* to, int bytes, Site at);
  void store(void* to, const void* from, int bytes, Site at);
  unsigned atomic_inc(unsigned* word, unsigned last, Site at);
  unsigned atomic_add(unsigned* word, unsigned addend, Site at);
  unsigned load_acquire(const unsigned* from, Site at);
  void store_release(unsigned* to, unsigned value, Site at);
  void fence_gpu(Site at);
  void fence_to_async(Site at);

 private:
  /// What fence_gpu makes of accesses that order nothing by themselves.
  struct Fence {
    Clock before;  // what the thread knew at its last fence: later accesses release it
    Clock found;   // what it found released: the next fence acquires it
  };

  // A word's value, after others had the chance to change it.
  const unsigned* atomic_read(const unsigned* word, Site at);
  unsigned* atomic_write(unsigned* word, Site at);

  Threads& threads_;
  GlobalMemory& memory_;
  std::vector<Fence> fences_;  // of every thread
};

}  // namespace streamattn::emulator
