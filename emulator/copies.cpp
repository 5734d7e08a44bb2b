// Issue and completion of loads and stores.
#include "emulator/copies.h"

#include <cstring>

#include "emulator/violation.h"

namespace streamattn::emulator {

// ---- Loads

void Copies::load(unsigned to, const TensorMap& map, unsigned barrier, const int (&at_box)[4],
                  Site at) {
  const Clock& clock = threads_.enter(at).clock;
  const BoxedTensor tensor = decode(map);
  Load load{Box(tensor, at_box), {}, to, barrier, at};
  const Box& box = load.box;
  if (to % 128 != 0) violate("loads a box to shared address {0}, not a multiple of 128", to);
  Mbarrier& completes = barriers_.mbarrier_at(barrier);
  if (!completes.is_visible_to_tma_for(clock))
    violate("has TMA complete on {0}: fence_mbarrier_init is missing", completes.describe());
  const Access access =
      threads_.access(AccessKind::tma_load, completes.actor(), completes.phase() + 1, at);
  for (int r = 0; r < box.rows(); r++) {
    const int bytes = box.bytes(r);
    load.rows.push_back(bytes == 0 ? nullptr : global_.read(box.address(r), bytes, clock, access));
    for (int p = 0; p < box.pieces(); p++)
      shared_.write(box.shared_address(to, r, p), clock, access,
                    {tensor.data, box.row(r), box.column(p), box.entry()});
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

// ---- Stores

void Copies::store(const TensorMap& map, unsigned from, const int (&at_box)[4], Site at) {
  const Clock& clock = threads_.enter(at).clock;
  auto store = std::make_shared<Store>(Store{Box(decode(map), at_box), {}, from, at, 0});
  const Box& box = store->box;
  if (from % 128 != 0) violate("stores a box from shared address {0}, not a multiple of 128", from);
  Queue& queue = queues_[threads_.current()];
  if (queue.reader == 0) queue.reader = threads_.new_actor(), queue.writer = threads_.new_actor();
  store->group = queue.groups;
  const Access read = threads_.access(AccessKind::tma_store, queue.reader, queue.groups + 1, at);
  const Access write = threads_.access(AccessKind::tma_store, queue.writer, queue.groups + 1, at);
  for (int r = 0; r < box.rows(); r++) {
    const int bytes = box.bytes(r);
    store->rows.push_back(bytes == 0 ? nullptr
                                     : global_.write(box.address(r), bytes, clock, write));
    for (int p = 0; p < box.pieces(); p++)
      shared_.read(box.shared_address(from, r, p), clock, read);
  }
  queue.unread.push_back(store);
  threads_.trace_instant("TMA store", at);
  threads_.scheduler().yield();
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
  for (int r = 0; r < store.box.rows(); r++)
    for (int p = 0; p < store.box.pieces(); p++) {
      const std::byte* from = shared_.at(store.box.shared_address(store.from, r, p));
      store.bytes.insert(store.bytes.end(), from, from + store.box.piece_bytes(r, p));
    }
}

void Copies::Store::write() {
  if (std::exchange(written, true)) return;
  const std::byte* next = bytes.data();
  for (int r = 0; r < box.rows(); r++) {
    if (rows[r] != nullptr) std::memcpy(rows[r], next, box.bytes(r));
    next += box.bytes(r);
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
