// Plain accesses, atomics, and what acquires and releases pass on.
#include "emulator/global_accesses.h"

#include <cstring>
#include <utility>

#include "emulator/violation.h"

namespace streamattn::emulator {

void GlobalAccesses::load(const void* from, void* to, int bytes, Site at) {
  const Clock& clock = threads_.enter(at).clock;
  if (reinterpret_cast<std::uintptr_t>(from) % bytes != 0)
    violate("loads {0} bytes from {1}, which is not aligned to them", bytes,
            memory_.describe(from));
  const std::byte* found = memory_.read(from, bytes, clock, threads_.plain_access(at));
  std::memcpy(to, found, static_cast<std::size_t>(bytes));
}

void GlobalAccesses::store(void* to, const void* from, int bytes, Site at) {
  const Clock& clock = threads_.enter(at).clock;
  if (reinterpret_cast<std::uintptr_t>(to) % bytes != 0)
    violate("stores {0} bytes to {1}, which is not aligned to them", bytes, memory_.describe(to));
  std::byte* found = memory_.write(to, bytes, clock, threads_.plain_access(at));
  std::memcpy(found, from, static_cast<std::size_t>(bytes));
  threads_.scheduler().progress();
}

const unsigned* GlobalAccesses::atomic_read(const unsigned* word, Site at) {
  threads_.enter(at);
  threads_.scheduler().yield();
  const Threads::Thread& self = threads_.self();
  const Access access = threads_.access(AccessKind::atomic, self.actor, self.event, at);
  return reinterpret_cast<const unsigned*>(memory_.read(word, sizeof(*word), self.clock, access));
}

unsigned* GlobalAccesses::atomic_write(unsigned* word, Site at) {
  const Threads::Thread& self = threads_.self();
  const Access access = threads_.access(AccessKind::atomic, self.actor, self.event, at);
  threads_.scheduler().progress();
  return reinterpret_cast<unsigned*>(memory_.write(word, sizeof(*word), self.clock, access));
}

unsigned GlobalAccesses::atomic_inc(unsigned* word, unsigned last, Site at) {
  const unsigned before = *atomic_read(word, at);
  *atomic_write(word, at) = before >= last ? 0 : before + 1;
  Fence& fence = fences_[threads_.current()];
  fence.found.learn(memory_.released_at(word));
  memory_.released_at(word).learn(fence.before);
  return before;
}

unsigned GlobalAccesses::atomic_add(unsigned* word, unsigned addend, Site at) {
  const unsigned before = *atomic_read(word, at);
  *atomic_write(word, at) = before + addend;
  Threads::Thread& self = threads_.self();
  self.clock.learn(memory_.released_at(word));
  memory_.released_at(word).learn(self.clock);
  Threads::tick(self);
  return before;
}

unsigned GlobalAccesses::load_acquire(const unsigned* from, Site at) {
  const unsigned value = *atomic_read(from, at);
  threads_.self().clock.learn(memory_.released_at(from));
  return value;
}

void GlobalAccesses::store_release(unsigned* to, unsigned value, Site at) {
  threads_.enter(at);
  threads_.scheduler().yield();
  *atomic_write(to, at) = value;
  Threads::Thread& self = threads_.self();
  memory_.released_at(to) = self.clock;
  Threads::tick(self);
}

void GlobalAccesses::fence_gpu(Site at) {
  Threads::Thread& self = threads_.enter(at);
  Fence& fence = fences_[threads_.current()];
  self.clock.learn(std::exchange(fence.found, {}));
  fence.before = self.clock;
  Threads::tick(self);
}

void GlobalAccesses::fence_to_async(Site at) {
  Threads::Thread& self = threads_.enter(at);
  self.clock.fenced_global.learn(self.clock.seen);
  Threads::tick(self);
}

}  // namespace streamattn::emulator
