// Issue and completion of loads and stores.
#include "emulator/copies.h"

#include <cstring>

#include "emulator/violation.h"

namespace streamattn::emulator {

// ---- Loads

Mbarrier& Copies::completion(unsigned barrier, const Clock& clock) {
  Mbarrier& completes = barriers_.mbarrier_at(barrier);
  if (!completes.is_visible_to_tma_for(clock))
    violate("has TMA complete on {0}: fence_mbarrier_init is missing", completes.describe());
  return completes;
}

void Copies::load(unsigned to, const TensorMap& map, unsigned barrier, const int (&at_box)[4],
                  Site at) {
  const Clock& clock = threads_.enter(at).clock;
  const BoxedTensor tensor = decode(map);
  Load load{Box(tensor, at_box), {}, to, barrier, at};
  const Box& box = load.box;
  if (to % 128 != 0) violate("loads a box to shared address {0}, not a multiple of 128", to);
  Mbarrier& completes = completion(barrier, clock);
  const Access access =
      threads_.access(AccessKind::tma_load, completes.actor(), completes.phase() + 1, at);
  for (int r = 0; r < box.rows(); r++) {
    const int bytes = box.bytes(r);
    load.rows.push_back(bytes == 0 ? nullptr : global_.read(box.address(r), bytes, clock, access));
    for (int p = 0; p < box.pieces(); p++)
      shared_.write(box.shared_address(to, r, p), clock, access,
                    {tensor.data, box.running_row(r), box.column(p), box.entry()});
  }
  completes.begin_load(access);
  background_.add([this, load, thread = threads_.current(), at] {
    threads_.blame(thread, at, [&] { arrive(load); });
  });
  threads_.trace_instant("TMA load", at);
  threads_.scheduler().yield();
}

// Elements that do not exist are zero.
void Copies::arrive(const Load& load) {
  for (int r = 0; r < load.box.rows(); r++)
    for (int p = 0; p < load.box.pieces(); p++) {
      std::byte* to = shared_.at(load.box.shared_address(load.to, r, p));
      const int bytes = load.box.piece_bytes(r, p);
      std::memset(to, 0, SharedMemory::granule);
      if (bytes > 0) std::memcpy(to, load.rows[r] + p * SharedMemory::granule, bytes);
    }
  threads_.trace_arrival("TMA load arrives", load.site);
  barriers_.complete(load.barrier, load.box.bytes());
}

void Copies::load_bytes(unsigned to, const void* from, unsigned bytes, unsigned barrier, Site at) {
  const Clock& clock = threads_.enter(at).clock;
  if (bytes % SharedMemory::granule != 0 ||
      reinterpret_cast<std::uintptr_t>(from) % SharedMemory::granule != 0)
    violate("loads {0} bytes from {1}: not both multiples of {2}", bytes, global_.describe(from),
            SharedMemory::granule);
  Mbarrier& completes = completion(barrier, clock);
  const Access access =
      threads_.access(AccessKind::tma_load, completes.actor(), completes.phase() + 1, at);
  const LoadOfBytes load{global_.read(from, static_cast<int>(bytes), clock, access), to, bytes,
                         barrier, at};
  for (unsigned offset = 0; offset < bytes; offset += SharedMemory::granule)
    shared_.write(to + offset, clock, access);
  completes.begin_load(access);
  background_.add([this, load, thread = threads_.current(), at] {
    threads_.blame(thread, at, [&] { arrive(load); });
  });
  threads_.trace_instant("bulk load", at);
  threads_.scheduler().yield();
}

void Copies::arrive(const LoadOfBytes& load) {
  for (unsigned offset = 0; offset < load.bytes; offset += SharedMemory::granule)
    std::memcpy(shared_.at(load.to + offset), load.from + offset, SharedMemory::granule);
  threads_.trace_arrival("bulk load arrives", load.site);
  barriers_.complete(load.barrier, static_cast<int>(load.bytes));
}

// ---- Stores

Copies::Issue Copies::begin_store(Site at) {
  Queue& queue = queues_[threads_.current()];
  if (queue.reader == 0) queue.reader = threads_.new_actor(), queue.writer = threads_.new_actor();
  return {queue, threads_.access(AccessKind::tma_store, queue.reader, queue.groups + 1, at),
          threads_.access(AccessKind::tma_store, queue.writer, queue.groups + 1, at)};
}

void Copies::issue(Issue& issue, Store store) {
  const Clock& clock = threads_.self().clock;
  for (const Store::Piece& piece : store.pieces) shared_.read(piece.from, clock, issue.read);
  store.group = issue.queue.groups;
  issue.queue.unread.push_back(std::make_shared<Store>(std::move(store)));
  threads_.scheduler().yield();
}

void Copies::store(const TensorMap& map, unsigned from, const int (&at_box)[4], Site at) {
  const Clock& clock = threads_.enter(at).clock;
  const Box box(decode(map), at_box);
  if (from % 128 != 0) violate("stores a box from shared address {0}, not a multiple of 128", from);
  Issue begun = begin_store(at);
  Store store{{}, /*adds=*/false, at, 0};
  for (int r = 0; r < box.rows(); r++) {
    const int bytes = box.bytes(r);
    std::byte* to = bytes == 0 ? nullptr : global_.write(box.address(r), bytes, clock, begun.write);
    for (int p = 0; p < box.pieces(); p++)
      store.pieces.push_back({to == nullptr ? to : to + p * SharedMemory::granule,
                              box.shared_address(from, r, p), box.piece_bytes(r, p)});
  }
  threads_.trace_instant("TMA store", at);
  issue(begun, std::move(store));
}

void Copies::store_bytes(void* to, unsigned from, unsigned bytes, bool adds, Site at) {
  const Clock& clock = threads_.enter(at).clock;
  if (bytes % SharedMemory::granule != 0 ||
      reinterpret_cast<std::uintptr_t>(to) % SharedMemory::granule != 0)
    violate("stores {0} bytes to {1}: not both multiples of {2}", bytes, global_.describe(to),
            SharedMemory::granule);
  Issue begun = begin_store(at);
  if (adds) global_.read(to, static_cast<int>(bytes), clock, begun.write);
  std::byte* const memory = global_.write(to, static_cast<int>(bytes), clock, begun.write);
  Store store{{}, adds, at, 0};
  for (unsigned offset = 0; offset < bytes; offset += SharedMemory::granule)
    store.pieces.push_back({memory + offset, from + offset, SharedMemory::granule});
  threads_.trace_instant(adds ? "bulk add" : "bulk store", at);
  issue(begun, std::move(store));
}

void Copies::commit(Site at) {
  threads_.enter(at);
  queues_[threads_.current()].groups++;
}

void Copies::wait_read(Site at) {
  Threads::Thread& thread = threads_.enter(at);
  Queue& queue = queues_[threads_.current()];
  while (!queue.unread.empty() && queue.unread.front()->group < queue.groups) {
    const std::shared_ptr<Store> store = queue.unread.front();
    queue.unread.erase(queue.unread.begin());
    read(*store);
    queue.unwritten.push_back(store);
    background_.add([store] { store->write(); });
  }
  if (queue.reader != 0) thread.clock.learn_async(queue.reader, queue.groups);
}

void Copies::wait(Site at) {
  wait_read(at);
  Queue& queue = queues_[threads_.current()];
  for (const auto& store : queue.unwritten) store->write();
  queue.unwritten.clear();
  if (queue.writer != 0) threads_.self().clock.learn_async_global(queue.writer, queue.groups);
}

void Copies::read(Store& store) {
  for (const Store::Piece& piece : store.pieces) {
    const std::byte* from = shared_.at(piece.from);
    store.bytes.insert(store.bytes.end(), from, from + piece.bytes);
  }
}

void Copies::Store::write() {
  if (std::exchange(written, true)) return;
  const std::byte* next = bytes.data();
  for (const Piece& piece : pieces) {
    for (int i = 0; adds && i < piece.bytes; i += sizeof(float)) {
      float sum = 0, addend = 0;
      std::memcpy(&sum, piece.to + i, sizeof(sum));
      std::memcpy(&addend, next + i, sizeof(addend));
      sum += addend;
      std::memcpy(piece.to + i, &sum, sizeof(sum));
    }
    if (!adds && piece.bytes > 0) std::memcpy(piece.to, next, piece.bytes);
    next += piece.bytes;
  }
}

void Copies::check_exit() {
  const Queue& queue = queues_[threads_.current()];
  if (queue.unread.empty()) return;
  const Store& store = *queue.unread.front();
  threads_.enter(store.site);
  violate(store.group == queue.groups
              ? "exits without tma_store_commit for this TMA store"
              : "exits without tma_store_wait_read for this TMA store, which may still read shared "
                "memory");
}

}  // namespace streamattn::emulator
