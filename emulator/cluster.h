// Blocks that launch together and reach each other's shared memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "emulator/background.h"
#include "emulator/barriers.h"
#include "emulator/shared_memory.h"
#include "emulator/threads.h"

namespace streamattn::emulator {

/// The blocks of a cluster, and their barrier.
class Cluster {
 public:
  /// What blocks reach of each other. Null behind a block's exit.
  struct Member {
    Threads* threads = nullptr;
    SharedMemory* memory = nullptr;
    Barriers* barriers = nullptr;
  };

  /// `kernel` is for reports.
  Cluster(std::string kernel, int blocks) : kernel_(std::move(kernel)), members_(blocks) {}

  int blocks() const { return static_cast<int>(members_.size()); }
  const Member& operator[](unsigned rank) const { return members_[rank]; }

  void join(unsigned rank, const Member& block);
  void leave(unsigned rank) { members_[rank] = {}; }

  /// 16 bytes come to a place in block `rank`, for which that block must not have exited.
  void complete_store(unsigned rank, unsigned to, const void* bytes, unsigned barrier, int thread,
                      Site at) const;

  /// A warp arrives at the barrier with what it passes on; the last of all blocks ends the phase.
  void arrive(const Clock& clock);

  std::uint32_t phase() const { return phase_; }           ///< how many are complete
  const Clock& known_at_end() const { return released_; }  ///< of the last one
  std::string describe() const;  ///< "for the cluster, of which 3 of 20 warps have arrived"

 private:
  std::string kernel_;
  std::vector<Member> members_;
  int warps_ = 0, arrived_ = 0;  // of all blocks
  std::uint32_t phase_ = 0;
  Clock arriving_, released_;
};

/// A block's place in its cluster.
struct ClusterPlace {
  std::shared_ptr<Cluster> cluster;
  unsigned rank;
};

/// The cluster as the threads of one block reach it.
class ClusterAccesses {
 public:
  ClusterAccesses(ClusterPlace place, const Cluster::Member& self, Background& background);
  ClusterAccesses(const ClusterAccesses&) = delete;
  ~ClusterAccesses() { place_.cluster->leave(place_.rank); }

  /// Where no relaxed arrival is, threads know at the wait what others did before they arrived;
  /// else which mbarriers these have initialised and shown.
  void arrive(bool relaxed, Site at);
  void wait(Site at);

  /// The address of a place of the block of rank `rank`, for store().
  unsigned map(unsigned address, unsigned rank, Site at);

  /// 16 bytes that arrive later, and are counted by an mbarrier of the same block.
  void store(unsigned to, const void* from, unsigned barrier, Site at);

  std::string describe_wait() const { return place_.cluster->describe(); }

 private:
  struct Target {
    unsigned rank, address;
  };
  Target target(unsigned address);

  Threads& threads_;
  ClusterPlace place_;
  Background& background_;
  std::vector<std::uint32_t> arrivals_;  // of each warp
  std::vector<std::uint32_t> waits_;     // of each warp
};

}  // namespace streamattn::emulator
