// One block of an emulated launch: the machine that its threads run on.
#pragma once

#include <functional>
#include <string>

#include "emulator/async_copies.h"
#include "emulator/background.h"
#include "emulator/barriers.h"
#include "emulator/cluster.h"
#include "emulator/copies.h"
#include "emulator/global_accesses.h"
#include "emulator/global_memory.h"
#include "emulator/matrix.h"
#include "emulator/registers.h"
#include "emulator/shared_accesses.h"
#include "emulator/threads.h"

namespace streamattn::emulator {

/// What blocks share.
struct Surroundings {
  Scheduler& scheduler;
  Background& background;
  GlobalMemory& memory;
};

/// A launch as its blocks see it.
struct BlockLaunch {
  std::function<void()> thread;  // the kernel, for one thread
  Index3 grid;
  int threads;
  int smem_bytes;  // dynamic
  int registers;   // of a thread at launch
};

/// Joins the units that execute instructions. Every instruction checks its contract; the first that
/// is broken ends the launch with an Error (launch_failed): kernel, block, warp, line and cause.
class Block final : public Machine {
 public:
  /// Threads know what blocks in front of `complete_below` did.
  Block(const BlockLaunch& launch, BlockName name, std::uint32_t complete_below,
        const Surroundings& around, ClusterPlace place);

  const BlockName& name() const { return threads_.name(); }
  const Threads& threads() const { return threads_; }
  bool has_exited() const { return threads_.have_exited(); }

  /// What must not be under way when the block exits.
  void check_exit() const;

  /// Whether dependent kernels may start as far as this block is concerned.
  bool lets_dependents_start() const { return lets_dependents_start_ || has_exited(); }

  /// Whether a thread has waited for the kernels that this one depends on.
  bool has_waited_for_dependency() const { return has_waited_; }

  /// All blocks in front of `ordinal`, the first of this launch, are complete.
  void complete_dependency(std::uint32_t ordinal);

  /// A line for every run of warps that wait for the same.
  std::string describe() const;

  Index3 thread_index() override { return {static_cast<unsigned>(threads_.current()), 0, 0}; }
  Index3 block_index() override;
  Index3 grid_size() override { return launch_.grid; }

  void sync_threads(Site at) override { barriers_.named(0, launch_.threads, /*wait=*/true, at); }
  void sync_warp(Site at) override { threads_.sync_warp(at); }
  unsigned shuffle(unsigned value, unsigned from_lane, Site at) override {
    return threads_.shuffle(value, from_lane, at);
  }
  bool any(bool value, Site at) override { return threads_.any(value, at); }
  unsigned match(unsigned value, Site at) override { return threads_.match(value, at); }
  bool elect(Site at) override { return threads_.elect(at); }

  void mbarrier_init(unsigned barrier, unsigned arrivals, Site at) override {
    barriers_.init(barrier, arrivals, at);
  }
  void fence_mbarrier_init(Site at) override { barriers_.fence_init(at); }
  void mbarrier_arrive(unsigned barrier, unsigned expected_bytes, Site at) override {
    barriers_.arrive(barrier, expected_bytes, at);
  }
  void mbarrier_wait(unsigned barrier, unsigned parity, Site at) override {
    barriers_.wait(barrier, parity, /*of_cluster=*/false, at);
  }
  void mbarrier_wait_cluster(unsigned barrier, unsigned parity, Site at) override {
    barriers_.wait(barrier, parity, /*of_cluster=*/true, at);
  }
  bool mbarrier_test(unsigned barrier, unsigned parity, Site at) override {
    return barriers_.test(barrier, parity, at);
  }
  void named_barrier(int id, int threads, bool wait, Site at) override {
    barriers_.named(id, threads, wait, at);
  }
  bool named_barrier_any(int id, int threads, bool value, Site at) override {
    return barriers_.named_any(id, threads, value, at);
  }

  void store_shared(unsigned address, const void* from, Site at) override {
    shared_.store(address, from, at);
  }
  void load_shared(unsigned address, void* to, Site at) override { shared_.load(address, to, at); }
  void load_matrix_x4(unsigned address, unsigned (&registers)[4], Site at) override {
    shared_.load_matrix_x4(address, registers, at);
  }
  void store_matrix_x4(unsigned address, const unsigned (&registers)[4], Site at) override {
    shared_.store_matrix_x4(address, registers, at);
  }
  void store_matrix_x2_transposed(unsigned address, const unsigned (&registers)[2],
                                  Site at) override {
    shared_.store_matrix_x2_transposed(address, registers, at);
  }
  void store_matrix_x4_transposed(unsigned address, const unsigned (&registers)[4],
                                  Site at) override {
    shared_.store_matrix_x4_transposed(address, registers, at);
  }
  void fence_shared_to_async(Site at) override { shared_.fence_to_async(at); }

  void cluster_arrive(bool relaxed, Site at) override { cluster_.arrive(relaxed, at); }
  void cluster_wait(Site at) override { cluster_.wait(at); }
  unsigned shared_of_peer(unsigned address, unsigned rank, Site at) override {
    return cluster_.map(address, rank, at);
  }
  void store_async(unsigned to, const void* from, unsigned barrier, Site at) override {
    cluster_.store(to, from, barrier, at);
  }

  void load_global(const void* from, void* to, int bytes, Site at) override {
    global_.load(from, to, bytes, at);
  }
  void store_global(void* to, const void* from, int bytes, Site at) override {
    global_.store(to, from, bytes, at);
  }
  void begin_second_stores(Site at) override { threads_.enter(at).stores_again = true; }
  unsigned atomic_inc(unsigned* word, unsigned last, Site at) override {
    return global_.atomic_inc(word, last, at);
  }
  unsigned atomic_add(unsigned* word, unsigned addend, Site at) override {
    return global_.atomic_add(word, addend, at);
  }
  unsigned load_acquire(const unsigned* from, Site at) override {
    return global_.load_acquire(from, at);
  }
  void store_release(unsigned* to, unsigned value, Site at) override {
    global_.store_release(to, value, at);
  }
  void fence_gpu(Site at) override { global_.fence_gpu(at); }
  void fence_global_to_async(Site at) override { global_.fence_to_async(at); }

  void dependency_wait(Site at) override;
  void launch_dependents(Site at) override;

  void copy_async(unsigned to, const void* from, bool exists, Site at) override {
    async_copies_.copy(to, from, exists, at);
  }
  void copy_async_arrive(unsigned barrier, Site at) override { async_copies_.arrive(barrier, at); }

  void tma_load(unsigned to, const TensorMap& map, unsigned barrier, const int (&box)[4],
                Site at) override {
    copies_.load(to, map, barrier, box, at);
  }
  void tma_store(const TensorMap& map, unsigned from, const int (&box)[4], Site at) override {
    copies_.store(map, from, box, at);
  }
  void bulk_load(unsigned to, const void* from, unsigned bytes, unsigned barrier,
                 Site at) override {
    copies_.load_bytes(to, from, bytes, barrier, at);
  }
  void bulk_store(void* to, unsigned from, unsigned bytes, bool adds, Site at) override {
    copies_.store_bytes(to, from, bytes, adds, at);
  }
  void tma_store_commit(Site at) override { copies_.commit(at); }
  void tma_store_wait_read(Site at) override { copies_.wait_read(at); }
  void tma_store_wait(Site at) override { copies_.wait(at); }

  void set_registers(int count, bool grow, Site at) override { registers_.set(count, grow, at); }
  void wgmma_fence(Site at) override { matrix_.fence(at); }
  void wgmma(const WgmmaCall& call, Site at) override { matrix_.issue(call, at); }
  void wgmma_commit(Site at) override { matrix_.commit(at); }
  void wgmma_wait(int pending_groups, Site at) override { matrix_.wait(pending_groups, at); }
  void touch_registers(const void* registers, int bytes, Site at) override {
    matrix_.touch(registers, bytes, at);
  }
  void in_flight_used(Site at) override { matrix_.in_flight_used(at); }

 private:
  void run_thread();
  std::string where(int thread) const;

  BlockLaunch launch_;
  std::function<void()> body_ = [this] { run_thread(); };
  Threads threads_;
  SharedMemory memory_;
  Barriers barriers_{threads_, memory_};
  Registers registers_;
  SharedAccesses shared_{threads_, memory_};
  GlobalAccesses global_;
  ClusterAccesses cluster_;
  Copies copies_;
  AsyncCopies async_copies_;
  Matrix matrix_{threads_, memory_};
  std::uint32_t known_complete_;  // blocks in front of it are
  bool lets_dependents_start_ = false, has_waited_ = false;
};

}  // namespace streamattn::emulator
