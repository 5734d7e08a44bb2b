// Issue and completion of cp.async.
#include "emulator/async_copies.h"

#include <cstring>
#include <utility>

#include "emulator/violation.h"

namespace streamattn::emulator {

void AsyncCopies::copy(unsigned to, const void* from, bool exists, Site at) {
  const Clock& clock = threads_.enter(at).clock;
  Queue& queue = queues_[threads_.current()];
  if (queue.actor == 0) queue.actor = threads_.new_actor();
  const Access access = threads_.access(AccessKind::copy_async, queue.actor, ++queue.issued, at);
  if (exists && reinterpret_cast<std::uintptr_t>(from) % SharedMemory::granule != 0)
    violate("copies 16 bytes from {0}, which is not aligned to them", global_.describe(from));
  const std::byte* bytes =
      exists ? global_.read(from, SharedMemory::granule, clock, access) : nullptr;
  shared_.write(to, clock, access);
  queue.copies.push_back({to, bytes});
  queue.last = at;
}

// The arrival knows what its thread knew, and that the copies are complete.
void AsyncCopies::arrive(unsigned barrier, Site at) {
  Clock clock = threads_.enter(at).clock;
  barriers_.mbarrier_at(barrier);
  Queue& queue = queues_[threads_.current()];
  if (queue.actor != 0) clock.seen.learn(queue.actor, queue.issued);
  background_.add([this, barrier, clock, copies = std::exchange(queue.copies, {}),
                   thread = threads_.current(), at] {
    threads_.blame(thread, at, [&] {
      complete(copies);
      barriers_.arrive_as(barrier, clock);
    });
  });
  Threads::tick(threads_.self());
  threads_.scheduler().yield();
}

void AsyncCopies::complete(const std::vector<Copy>& copies) {
  for (const Copy& copy : copies) {
    std::byte* to = shared_.at(copy.to);
    if (copy.from == nullptr)
      std::memset(to, 0, SharedMemory::granule);
    else
      std::memcpy(to, copy.from, SharedMemory::granule);
  }
}

void AsyncCopies::check_exit() {
  const Queue& queue = queues_[threads_.current()];
  if (queue.copies.empty()) return;
  threads_.enter(queue.last);
  violate("exits without copy_async_arrive for this copy");
}

}  // namespace streamattn::emulator
