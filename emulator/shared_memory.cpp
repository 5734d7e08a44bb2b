// Conflicts between accesses to shared memory.
#include "emulator/shared_memory.h"

#include "emulator/violation.h"

namespace streamattn::emulator {
namespace {

// What would have ordered an access after `earlier`.
const char* cure(AccessKind earlier, bool earlier_writes) {
  switch (earlier) {
    case AccessKind::copy_async:
    case AccessKind::store_async:
    case AccessKind::tma_load:
      return "it has not waited for that phase of the mbarrier";
    case AccessKind::tma_store:
      return "tma_store_wait_read is missing in between";
    case AccessKind::wgmma:
      return "wgmma_wait, or a barrier behind it, is missing in between";
    case AccessKind::plain:
    case AccessKind::atomic:
      break;
  }
  return earlier_writes ? "no barrier orders the write before this"
                        : "no barrier orders the read before this";
}

}  // namespace

SharedMemory::SharedMemory(int bytes)
    : bytes_((static_cast<std::size_t>(bytes) + granule - 1) / granule * granule),
      granules_(bytes_.size() / granule) {}

SharedMemory::Granule& SharedMemory::granule_at(unsigned address) {
  if (address % granule != 0)
    violate("shared address {0} is not a multiple of {1}", address, granule);
  if (address < first_address || address - first_address >= bytes_.size())
    violate("shared address {0} is outside of the block's [{1}, {2})", address, first_address,
            first_address + bytes_.size());
  return granules_[(address - first_address) / granule];
}

void SharedMemory::check_after_write(unsigned address, const Granule& found, const Clock& clock,
                                     const Access& access, const char* verb) {
  if (!found.written) return;
  const Access& write = found.write;
  if (found.holds_mbarrier)
    violate("{0} shared address {1}, which holds an mbarrier that {2} initialised", verb, address,
            text(write));
  if (clock.seen.of(write.actor) < write.event)
    violate("{0} shared address {1}, which {2} writes: {3}", verb, address, text(write),
            cure(write.kind, true));
  if (is_async(access.kind) && !is_async(write.kind) &&
      clock.fenced_shared.of(write.actor) < write.event)
    violate("{0} shared address {1}, which {2} wrote: fence_shared_to_async is missing in between",
            verb, address, text(write));
}

void SharedMemory::read(unsigned address, const Clock& clock, const Access& access) {
  Granule& found = granule_at(address);
  if (!found.written) violate("reads shared address {0}, which nothing has written", address);
  check_after_write(address, found, clock, access, "reads");
  for (Access& read : found.reads) {
    if (read.actor != access.actor) continue;
    read = access;
    return;
  }
  found.reads.push_back(access);
}

void SharedMemory::write(unsigned address, const Clock& clock, const Access& access,
                         Origin origin) {
  Granule& found = granule_at(address);
  check_after_write(address, found, clock, access, "overwrites");
  overwrite(address, found, clock, access);
  found.origin = origin;
}

// Several fit into one granule.
void SharedMemory::give_to_mbarrier(unsigned address, const Clock& clock, const Access& access) {
  Granule& found = granule_at(address);
  if (!found.holds_mbarrier) check_after_write(address, found, clock, access, "overwrites");
  overwrite(address, found, clock, access);
  found.holds_mbarrier = true;
}

void SharedMemory::overwrite(unsigned address, Granule& found, const Clock& clock,
                             const Access& access) {
  for (const Access& read : found.reads) {
    if (clock.seen.of(read.actor) < read.event)
      violate("overwrites shared address {0}, which {1} reads: {2}", address, text(read),
              cure(read.kind, false));
  }
  found.written = true;
  found.write = access;
  found.reads.clear();
}

}  // namespace streamattn::emulator
