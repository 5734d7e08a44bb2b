// Shared memory as threads and TMA reach it.
#include <cstring>

#include "emulator/block.h"
#include "emulator/violation.h"

namespace streamattn::emulator {
namespace {

constexpr int lanes = Scheduler::lanes;

// One 16-bit element of lane l in the 8x8 matrices: row l / 4, columns 2 (l % 4) and the next.
unsigned pair_offset(int lane) { return static_cast<unsigned>(lane % 4 * 4); }

struct MatrixArgument {
  unsigned address;
  unsigned registers[4];
};

}  // namespace

// ---- Threads

void Block::store_shared(unsigned address, const void* from, Site at) {
  enter(at);
  memory_.write(address, thread().clock, plain_access(at));
  std::memcpy(memory_.at(address), from, SharedMemory::granule);
}

void Block::load_shared(unsigned address, void* to, Site at) {
  enter(at);
  memory_.read(address, thread().clock, plain_access(at));
  std::memcpy(to, memory_.at(address), SharedMemory::granule);
}

void Block::load_matrix_x4(unsigned address, unsigned (&registers)[4], Site at) {
  enter(at);
  memory_.read(address, thread().clock, plain_access(at));
  MatrixArgument argument = {address, {}};
  converge(
      "ldmatrix", at,
      [&] {
        for (int l = 0; l < lanes; l++)
          for (int m = 0; m < 4; m++) {
            const unsigned row = scheduler_.argument<MatrixArgument>(m * 8 + l / 4).address;
            std::memcpy(&scheduler_.argument<MatrixArgument>(l).registers[m],
                        memory_.at(row) + pair_offset(l), 4);
          }
      },
      &argument);
  std::memcpy(registers, argument.registers, sizeof(registers));
}

void Block::store_matrix_x4(unsigned address, const unsigned (&registers)[4], Site at) {
  enter(at);
  memory_.write(address, thread().clock, plain_access(at));
  MatrixArgument argument = {address, {}};
  std::memcpy(argument.registers, registers, sizeof(registers));
  converge(
      "stmatrix", at,
      [&] {
        for (int l = 0; l < lanes; l++)
          for (int m = 0; m < 4; m++) {
            const unsigned row = scheduler_.argument<MatrixArgument>(m * 8 + l / 4).address;
            std::memcpy(memory_.at(row) + pair_offset(l),
                        &scheduler_.argument<MatrixArgument>(l).registers[m], 4);
          }
      },
      &argument);
}

void Block::fence_shared_to_async(Site at) {
  Thread& t = enter(at);
  t.clock.fence();
  tick(t);
}

// ---- TMA

void Block::tma_load(unsigned to, const TensorMap& map, unsigned barrier, const int (&at_box)[4],
                     Site at) {
  Thread& t = enter(at);
  const BoxedTensor tensor = decode(map);
  const Box box(tensor, at_box);
  if (to % 128 != 0) violate("loads a box to shared address {0}, not a multiple of 128", to);
  Mbarrier& completes = mbarrier_at(barrier);
  if (!completes.visible_to_tma())
    violate("has TMA complete on {0}: fence_mbarrier_init is missing", completes.describe());
  const Access write = access(AccessKind::tma_load, completes.actor(), completes.phase() + 1, at);
  for (int r = 0; r < box.rows(); r++)
    for (int p = 0; p < box.pieces(); p++)
      memory_.write(box.shared_address(to, r, p), t.clock, write,
                    {tensor.data, box.row(r), box.column(p)});
  completes.begin_load(write);
  loads_.push_back({box, to, &completes, scheduler_.current(), at});
  if (launch_.trace)
    launch_.trace->instant(launch_.block, scheduler_.warp(), "TMA load", scheduler_.time(), at);
  scheduler_.yield();
}

// One of the loads in flight, any of them, arrives.
void Block::deliver() {
  auto drawn = loads_.begin() + scheduler_.draw(static_cast<unsigned>(loads_.size()));
  const Load load = *drawn;
  loads_.erase(drawn);
  at_thread_ = load.thread, at_ = load.site;
  for (int r = 0; r < load.box.rows(); r++)
    for (int p = 0; p < load.box.pieces(); p++)
      load.box.load(r, p, memory_.at(load.box.shared_address(load.to, r, p)));
  if (launch_.trace)
    launch_.trace->instant(launch_.block, Trace::tma_row, "TMA load arrives", scheduler_.time(),
                           load.site);
  if (load.barrier->complete(load.box.bytes())) {
    for (const auto& [address, barrier] : mbarriers_)
      if (&barrier == load.barrier) wake_waiters(address);
  }
}

void Block::tma_store(const TensorMap& map, unsigned from, const int (&at_box)[4], Site at) {
  Thread& t = enter(at);
  const Box box(decode(map), at_box);
  if (from % 128 != 0) violate("stores a box from shared address {0}, not a multiple of 128", from);
  if (t.store_actor == 0) t.store_actor = actors_++;
  const Access read = access(AccessKind::tma_store, t.store_actor, t.store_groups + 1, at);
  for (int r = 0; r < box.rows(); r++)
    for (int p = 0; p < box.pieces(); p++)
      memory_.read(box.shared_address(from, r, p), t.clock, read);
  t.stores.push_back({box, from, at, t.store_groups});
  if (launch_.trace)
    launch_.trace->instant(launch_.block, scheduler_.warp(), "TMA store", scheduler_.time(), at);
  scheduler_.yield();
}

void Block::tma_store_commit(Site at) {
  enter(at);
  thread().store_groups++;
}

void Block::tma_store_wait_read(Site at) {
  Thread& t = enter(at);
  while (!t.stores.empty() && t.stores.front().group < t.store_groups) {
    perform(t.stores.front());
    t.stores.erase(t.stores.begin());
  }
  if (t.store_actor != 0) t.clock.learn_async(t.store_actor, t.store_groups);
}

void Block::perform(const Store& store) {
  for (int r = 0; r < store.box.rows(); r++)
    for (int p = 0; p < store.box.pieces(); p++)
      store.box.store(r, p, memory_.at(store.box.shared_address(store.from, r, p)));
}

}  // namespace streamattn::emulator
