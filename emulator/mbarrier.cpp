// Phases of an mbarrier.
#include "emulator/mbarrier.h"

#include "emulator/violation.h"

namespace streamattn::emulator {

bool Mbarrier::arrive(const Clock& clock, unsigned bytes) {
  if (pending_ == 0)
    violate("arrives once more than the {0} times of a phase on {1}", expected_, describe());
  if (clock.seen.of(actor_) < phase_)
    violate("arrives at {0}: it has not waited for the phase before, whose end may be yet to come",
            describe());
  pending_--;
  bytes_ += bytes;
  arriving_.learn(clock);
  return end_if_complete();
}

bool Mbarrier::complete(int bytes) {
  if (bytes > bytes_) violate("completes {0} bytes on {1}, which expects fewer", bytes, describe());
  bytes_ -= bytes;
  return end_if_complete();
}

bool Mbarrier::end_if_complete() {
  if (pending_ > 0 || bytes_ > 0) return false;
  phase_++;
  pending_ = expected_;
  arriving_.learn_async(actor_, phase_);
  released_ = arriving_;
  return true;
}

std::string Mbarrier::describe() const {
  return llvm::formatv(
      "the mbarrier at {0} (initialised at {1}; phase {2}, {3} of {4} arrivals and {5} bytes "
      "missing)",
      address_, text(init_.site), phase_, pending_, expected_, bytes_);
}

}  // namespace streamattn::emulator
