// Bulk tensor copies between global and shared memory.
#pragma once

#include <memory>
#include <vector>

#include "emulator/background.h"
#include "emulator/barriers.h"
#include "emulator/global_memory.h"
#include "emulator/shared_memory.h"
#include "emulator/tensor_map.h"
#include "emulator/threads.h"

namespace streamattn::emulator {

/// Copies are checked when they are issued. A load's bytes arrive when the background has them
/// arrive; a store reads shared memory at the wait for that, and reaches global memory after it.
class Copies {
 public:
  Copies(Threads& threads, SharedMemory& shared, Barriers& barriers, GlobalMemory& global,
         Background& background)
      : threads_(threads),
        shared_(shared),
        barriers_(barriers),
        global_(global),
        background_(background),
        queues_(threads.count()) {}

  void load(unsigned to, const TensorMap& map, unsigned barrier, const int (&box)[4], Site at);
  void store(const TensorMap& map, unsigned from, const int (&box)[4], Site at);

  /// Bytes that lie one after the other.
  void load_bytes(unsigned to, const void* from, unsigned bytes, unsigned barrier, Site at);
  void store_bytes(void* to, unsigned from, unsigned bytes, bool adds, Site at);

  void commit(Site at);

  /// Until the thread's committed stores have read shared memory, respectively are complete.
  void wait_read(Site at);
  void wait(Site at);

  /// What must not be under way when the current thread leaves the kernel.
  void check_exit();

 private:
  /// A box, and for each of its rows the bytes in global memory that exist.
  struct Load {
    Box box;
    std::vector<const std::byte*> rows;
    unsigned to, barrier;
    Site site;
  };
  struct LoadOfBytes {
    const std::byte* from;
    unsigned to, bytes, barrier;
    Site site;
  };
  struct Store {
    /// Of one granule of shared memory.
    struct Piece {
      std::byte* to;
      unsigned from;
      int bytes;  // that exist
    };
    std::vector<Piece> pieces;
    bool adds;
    Site site;
    std::uint32_t group;
    std::vector<std::byte> bytes = {};  // read from shared memory, not yet written
    bool written = false;

    void write();
  };
  /// The bulk stores of a thread.
  struct Queue {
    Actor reader = 0, writer = 0;  // 0: no store yet
    std::uint32_t groups = 0;
    std::vector<std::shared_ptr<Store>> unread, unwritten;
  };

  void arrive(const Load& load);
  void arrive(const LoadOfBytes& load);
  void read(Store& store);

  /// The mbarrier that a load completes on, checked.
  Mbarrier& completion(unsigned barrier, const Clock& clock);

  /// Stores of a thread and how they access memory.
  struct Issue {
    Queue& queue;
    Access read, write;
  };
  Issue begin_store(Site at);
  void issue(Issue& issue, Store store);

  Threads& threads_;
  SharedMemory& shared_;
  Barriers& barriers_;
  GlobalMemory& global_;
  Background& background_;
  std::vector<Queue> queues_;
};

}  // namespace streamattn::emulator
