// The border between emulated device code and the emulator: every call that templates/ptx would
// make as an instruction. The host library and the compiled kernel both include it.
#pragma once

namespace streamattn {

struct TensorMap;

namespace emulator {

/// A place in the emitted source or its templates; as a default argument, that of the call.
struct Site {
  const char* file;
  int line;

  static constexpr Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

struct Index3 {
  unsigned x, y, z;
};

/// One wgmma m64nNk16 as a thread issues it.
struct WgmmaCall {
  bool bf16;        ///< operands are bf16, else f16
  bool accumulate;  ///< D += A B, else D = A B
  bool a_mn_major;  ///< of A in shared memory
  bool b_mn_major;
  int n;
  float* d;           ///< the thread's n / 2 registers
  const unsigned* a;  ///< the thread's 4 registers of A; null: `a_descriptor` says where it is
  unsigned long long a_descriptor, b_descriptor;
};

/// What a register holds while a wgmma that will write it is in flight: a signalling NaN, so that
/// arithmetic on it leaves another pattern.
constexpr unsigned in_flight_bits = 0x7FA5A5A5;

/// The machine that the calling thread is part of. Addresses are those of the shared window. A call
/// returns when the instruction would let the thread go on, and never if it breaks a contract.
class Machine {
 public:
  virtual Index3 thread_index() = 0;
  virtual Index3 block_index() = 0;
  virtual Index3 grid_size() = 0;

  virtual void sync_threads(Site at) = 0;
  virtual void sync_warp(Site at) = 0;
  virtual unsigned shuffle(unsigned value, unsigned from_lane, Site at) = 0;
  virtual bool any(bool value, Site at) = 0;
  virtual unsigned match(unsigned value, Site at) = 0;
  virtual bool elect(Site at) = 0;

  virtual void mbarrier_init(unsigned barrier, unsigned arrivals, Site at) = 0;
  virtual void fence_mbarrier_init(Site at) = 0;
  virtual void mbarrier_arrive(unsigned barrier, unsigned expected_bytes, Site at) = 0;
  virtual void mbarrier_wait(unsigned barrier, unsigned parity, Site at) = 0;
  virtual void mbarrier_wait_cluster(unsigned barrier, unsigned parity, Site at) = 0;
  virtual bool mbarrier_test(unsigned barrier, unsigned parity, Site at) = 0;
  virtual void named_barrier(int id, int threads, bool wait, Site at) = 0;
  virtual bool named_barrier_any(int id, int threads, bool value, Site at) = 0;

  virtual void store_shared(unsigned address, const void* from, Site at) = 0;  // 16 bytes
  virtual void load_shared(unsigned address, void* to, Site at) = 0;           // 16 bytes
  virtual void load_matrix_x4(unsigned address, unsigned (&registers)[4], Site at) = 0;
  virtual void store_matrix_x4(unsigned address, const unsigned (&registers)[4], Site at) = 0;
  virtual void store_matrix_x2_transposed(unsigned address, const unsigned (&registers)[2],
                                          Site at) = 0;
  virtual void store_matrix_x4_transposed(unsigned address, const unsigned (&registers)[4],
                                          Site at) = 0;
  virtual void fence_shared_to_async(Site at) = 0;

  virtual void cluster_arrive(bool relaxed, Site at) = 0;
  virtual void cluster_wait(Site at) = 0;
  virtual unsigned shared_of_peer(unsigned address, unsigned rank, Site at) = 0;
  virtual void store_async(unsigned to, const void* from, unsigned barrier,
                           Site at) = 0;  // 16 bytes

  // Global memory: 4, 8 or 16 bytes, and words that blocks agree by.
  virtual void load_global(const void* from, void* to, int bytes, Site at) = 0;
  virtual void store_global(void* to, const void* from, int bytes, Site at) = 0;
  virtual void begin_second_stores(Site at) = 0;
  virtual unsigned atomic_inc(unsigned* word, unsigned last, Site at) = 0;
  virtual unsigned atomic_add(unsigned* word, unsigned addend, Site at) = 0;
  virtual unsigned load_acquire(const unsigned* from, Site at) = 0;
  virtual void store_release(unsigned* to, unsigned value, Site at) = 0;
  virtual void fence_gpu(Site at) = 0;
  virtual void fence_global_to_async(Site at) = 0;
  virtual void dependency_wait(Site at) = 0;
  virtual void launch_dependents(Site at) = 0;

  virtual void copy_async(unsigned to, const void* from, bool exists, Site at) = 0;  // 16 bytes
  virtual void copy_async_arrive(unsigned barrier, Site at) = 0;

  virtual void tma_load(unsigned to, const TensorMap& map, unsigned barrier, const int (&box)[4],
                        Site at) = 0;
  virtual void tma_store(const TensorMap& map, unsigned from, const int (&box)[4], Site at) = 0;
  virtual void bulk_load(unsigned to, const void* from, unsigned bytes, unsigned barrier,
                         Site at) = 0;
  virtual void bulk_store(void* to, unsigned from, unsigned bytes, bool adds, Site at) = 0;
  virtual void tma_store_commit(Site at) = 0;
  virtual void tma_store_wait_read(Site at) = 0;
  virtual void tma_store_wait(Site at) = 0;

  virtual void set_registers(int count, bool grow, Site at) = 0;
  virtual void wgmma_fence(Site at) = 0;
  virtual void wgmma(const WgmmaCall& call, Site at) = 0;
  virtual void wgmma_commit(Site at) = 0;
  virtual void wgmma_wait(int pending_groups, Site at) = 0;

  /// pin(): the thread reads and writes these registers here.
  virtual void touch_registers(const void* registers, int bytes, Site at) = 0;

  /// The thread computes with a register that a wgmma in flight will write.
  virtual void in_flight_used(Site at) = 0;

 protected:
  ~Machine() = default;
};

}  // namespace emulator
}  // namespace streamattn
