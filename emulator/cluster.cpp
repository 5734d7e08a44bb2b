// The barrier of a cluster, and stores to other blocks.
#include "emulator/cluster.h"

#include <array>
#include <cstring>

#include "emulator/violation.h"

namespace streamattn::emulator {
namespace {

// Mapped addresses have one more than the block's rank above those of shared memory.
constexpr unsigned rank_shift = 24, address_mask = (1U << rank_shift) - 1;

}  // namespace

// ---- The barrier

void Cluster::join(unsigned rank, const Member& block) {
  members_[rank] = block;
  warps_ += block.threads->warps();
}

void Cluster::arrive(const Clock& clock) {
  arriving_.learn(clock);
  if (++arrived_ < warps_) return;
  arrived_ = 0;
  phase_++;
  released_ = std::exchange(arriving_, {});
  for (const Member& member : members_) {
    if (member.threads == nullptr) continue;
    member.threads->scheduler().progress();
    for (int t = 0; t < member.threads->count(); t++)
      if (member.threads->reason(t).kind == WaitReason::cluster) member.threads->wake(t);
  }
}

std::string Cluster::describe() const {
  return llvm::formatv("for the cluster, of which {0} of {1} warps have arrived", arrived_, warps_);
}

ClusterAccesses::ClusterAccesses(ClusterPlace place, const Cluster::Member& self,
                                 Background& background)
    : threads_(*self.threads),
      place_(std::move(place)),
      background_(background),
      arrivals_(threads_.warps()),
      waits_(threads_.warps()) {
  place_.cluster->join(place_.rank, self);
}

void ClusterAccesses::arrive(bool relaxed, Site at) {
  threads_.converge("barrier.cluster.arrive", at, [&] {
    const int warp = threads_.warp();
    if (arrivals_[warp]++ != waits_[warp])
      violate("arrives at the barrier of the cluster twice without a cluster_wait in between");
    Clock known;
    for (int l = 0; l < Threads::lanes; l++) {
      Threads::Thread& thread = threads_.of_lane(l);
      if (!relaxed)
        known.learn(thread.clock);
      else if (thread.shown > 0)
        known.seen.learn(thread.actor, thread.shown);
      Threads::tick(thread);
    }
    place_.cluster->arrive(known);
  });
}

void ClusterAccesses::wait(Site at) {
  const std::int64_t begin = threads_.scheduler().time();
  const int warp = threads_.warp();
  threads_.converge("barrier.cluster.wait", at, [&] {
    if (++waits_[warp] != arrivals_[warp])
      violate("waits for the cluster, at whose barrier it has not arrived");
  });
  while (place_.cluster->phase() < arrivals_[warp]) threads_.block({WaitReason::cluster});
  threads_.self().clock.learn(place_.cluster->known_at_end());
  threads_.trace_wait("cluster barrier", begin, at);
}

// ---- Stores

unsigned ClusterAccesses::map(unsigned address, unsigned rank, Site at) {
  threads_.enter(at);
  if (rank >= static_cast<unsigned>(place_.cluster->blocks()))
    violate("maps a shared address to block {0} of a cluster of {1}", rank,
            place_.cluster->blocks());
  return (rank + 1) << rank_shift | address;
}

ClusterAccesses::Target ClusterAccesses::target(unsigned address) {
  const unsigned mapped = address >> rank_shift;
  if (mapped == 0 || mapped > static_cast<unsigned>(place_.cluster->blocks()))
    violate("address {0} is not one of shared_of_peer", address);
  if ((*place_.cluster)[mapped - 1].threads == nullptr)
    violate("stores to block {0} of the cluster, which has exited", mapped - 1);
  return {mapped - 1, address & address_mask};
}

void ClusterAccesses::store(unsigned to, const void* from, unsigned barrier, Site at) {
  const Clock& clock = threads_.enter(at).clock;
  const Target place = target(to), counter = target(barrier);
  if (place.rank != counter.rank)
    violate("stores to one block of the cluster and counts the bytes on an mbarrier of another");
  const Cluster::Member& member = (*place_.cluster)[place.rank];
  Mbarrier& completes = member.barriers->mbarrier_at(counter.address, clock);
  const Access access =
      threads_.access(AccessKind::store_async, completes.actor(), completes.phase() + 1, at);
  member.memory->write(place.address, clock, access);
  completes.begin_load(access);
  std::array<std::byte, SharedMemory::granule> bytes;
  std::memcpy(bytes.data(), from, bytes.size());
  // This block may have exited by then.
  background_.add([cluster = place_.cluster, place, bytes, counter = counter.address,
                   thread = threads_.current(), at] {
    cluster->complete_store(place.rank, place.address, bytes.data(), counter, thread, at);
  });
  threads_.trace_instant("store_async", at);
}

void Cluster::complete_store(unsigned rank, unsigned to, const void* bytes, unsigned barrier,
                             int thread, Site at) const {
  const Member& member = members_[rank];
  if (member.threads == nullptr)
    throw Error(ErrorCode::launch_failed,
                llvm::formatv("{0}: block {1} of a cluster exited before the store at {2} arrived",
                              kernel_, rank, text(at)));
  std::memcpy(member.memory->at(to), bytes, SharedMemory::granule);
  member.threads->blame(thread, at,
                        [&] { member.barriers->complete(barrier, SharedMemory::granule); });
}

}  // namespace streamattn::emulator
