// One block of an emulated launch: its threads, its shared memory and its barriers.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "emulator/barriers.h"
#include "emulator/scheduler.h"
#include "emulator/shared_memory.h"
#include "emulator/tensor_map.h"
#include "emulator/trace.h"
#include "emulator/wgmma_queue.h"

namespace streamattn::emulator {

/// What a block is told about its launch.
struct BlockLaunch {
  std::string kernel;
  unsigned block, blocks;  // along x
  int threads;
  int smem_bytes;  // dynamic
  std::uint64_t seed;
  Trace* trace;  // null: none is kept
};

/// Executes one block. Every instruction checks its contract; the first that is broken ends the
/// block with a report.
class Block final : public Machine {
 public:
  explicit Block(const BlockLaunch& launch);

  /// Runs `kernel` in every thread. Throws Error (launch_failed) with kernel, block, warp, line and
  /// cause for a broken contract, and with what every warp waits for when nothing can go on.
  void run(const std::function<void()>& kernel);

  Index3 thread_index() override { return {static_cast<unsigned>(scheduler_.current()), 0, 0}; }
  Index3 block_index() override { return {launch_.block, 0, 0}; }
  Index3 grid_size() override { return {launch_.blocks, 1, 1}; }

  void sync_threads(Site at) override;
  void sync_warp(Site at) override;
  unsigned shuffle(unsigned value, unsigned from_lane, Site at) override;
  bool any(bool value, Site at) override;
  bool elect(Site at) override;

  void mbarrier_init(unsigned barrier, unsigned arrivals, Site at) override;
  void fence_mbarrier_init(Site at) override;
  void mbarrier_arrive(unsigned barrier, unsigned expected_bytes, Site at) override;
  void mbarrier_wait(unsigned barrier, unsigned parity, Site at) override;
  void named_barrier(int id, int threads, bool wait, Site at) override;

  void store_shared(unsigned address, const void* from, Site at) override;
  void load_shared(unsigned address, void* to, Site at) override;
  void load_matrix_x4(unsigned address, unsigned (&registers)[4], Site at) override;
  void store_matrix_x4(unsigned address, const unsigned (&registers)[4], Site at) override;
  void fence_shared_to_async(Site at) override;

  void load_global(const void* from, void* to, int bytes, Site at) override;
  void store_global(void* to, const void* from, int bytes, Site at) override;
  unsigned atomic_inc(unsigned* word, unsigned last, Site at) override;
  unsigned atomic_add(unsigned* word, unsigned addend, Site at) override;
  unsigned load_acquire(const unsigned* from, Site at) override;
  void store_release(unsigned* to, unsigned value, Site at) override;
  void fence_gpu(Site at) override { enter(at); }
  void fence_global_to_async(Site at) override { enter(at); }
  void dependency_wait(Site at) override { enter(at); }
  void launch_dependents(Site at) override { enter(at); }

  void tma_load(unsigned to, const TensorMap& map, unsigned barrier, const int (&box)[4],
                Site at) override;
  void tma_store(const TensorMap& map, unsigned from, const int (&box)[4], Site at) override;
  void tma_store_commit(Site at) override;
  void tma_store_wait_read(Site at) override;

  void set_registers(int count, bool grow, Site at) override;
  void wgmma_fence(Site at) override;
  void wgmma(const WgmmaCall& call, Site at) override;
  void wgmma_commit(Site at) override;
  void wgmma_wait(int pending_groups, Site at) override;
  void touch_registers(const void* registers, int bytes, Site at) override;
  void in_flight_used(Site at) override;

 private:
  struct Load {
    Box box;
    unsigned to;
    Mbarrier* barrier;
    int thread;
    Site site;
  };
  struct Store {
    Box box;
    unsigned from;
    Site site;
    std::uint32_t group;
  };
  struct Thread {
    Actor actor;
    std::uint32_t event = 1;
    Clock clock;
    Actor store_actor = 0;  // 0: no store yet
    std::uint32_t store_groups = 0;
    std::vector<Store> stores;  // not yet read from shared memory
  };
  struct Warp {
    WgmmaQueue wgmmas;
    int registers;  // of a thread
    int requested_registers = 0;
    int named_barrier = -1;  // that it waits in
    std::size_t steps = 0;   // warpgroup-wide instructions so far
  };
  struct Step {
    const char* instruction;
    Site site;
  };

  // ---- Who is running
  Thread& enter(Site at);
  Thread& thread() { return threads_[scheduler_.current()]; }
  Warp& warp() { return warps_[scheduler_.warp()]; }
  Thread& lane(int l) { return threads_[scheduler_.warp() * Scheduler::lanes + l]; }
  Access access(AccessKind kind, Actor actor, std::uint32_t event, Site at) const;
  Access plain_access(Site at) {
    return access(AccessKind::plain, thread().actor, thread().event, at);
  }
  static void tick(Thread& thread);
  void converge(const char* instruction, Site at, const std::function<void()>& together,
                void* argument = nullptr);
  void converge_warpgroup(const char* instruction, Site at, const std::function<void()>& together,
                          void* argument = nullptr);

  // ---- Barriers
  Mbarrier& mbarrier_at(unsigned address);
  void wake_waiters(unsigned address);
  void arrive(int id, int threads, bool wait, Site at);
  void complete(NamedBarrier& barrier);
  void grant_registers();

  // ---- Asynchronous copies
  void deliver();
  void perform(const Store& store);
  void check_exit();
  void check_loads();

  // ---- Reports
  [[noreturn]] void report(const std::string& what) const;
  [[noreturn]] void report_deadlock() const;
  std::string waits(int thread) const;
  std::string warp_waits(int warp) const;

  BlockLaunch launch_;
  Scheduler scheduler_;
  SharedMemory memory_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<std::vector<Step>> warpgroup_steps_;
  std::map<unsigned, Mbarrier> mbarriers_;  // by address
  std::array<NamedBarrier, 16> named_barriers_;
  std::vector<Load> loads_;  // not yet delivered
  int spare_registers_ = 0;
  Actor actors_;  // so far
  int at_thread_ = 0;
  Site at_ = {};  // of the last instruction, for reports
};

}  // namespace streamattn::emulator
