// A block's threads from start to exit.
#include "emulator/block.h"

#include "emulator/violation.h"

namespace streamattn::emulator {

Block::Block(const BlockLaunch& launch, BlockName name, std::uint32_t complete_below,
             const Surroundings& around, ClusterPlace place)
    : launch_(launch),
      threads_(around.scheduler, std::move(name), launch.threads, complete_below, body_),
      memory_(launch.smem_bytes),
      registers_(threads_, launch.registers),
      global_(threads_, around.memory),
      cluster_(std::move(place), {&threads_, &memory_, &barriers_}, around.background),
      copies_(threads_, memory_, barriers_, around.memory, around.background),
      async_copies_(threads_, memory_, barriers_, around.memory, around.background),
      known_complete_(complete_below) {}

void Block::run_thread() {
  try {
    launch_.thread();
    copies_.check_exit();
    async_copies_.check_exit();
    matrix_.check_exit();
  } catch (const Violation& violation) {
    const int thread = threads_.current();
    throw threads_.error(thread, threads_.site(thread), violation.what());
  }
}

void Block::check_exit() const {
  if (const auto load = barriers_.unseen_load())
    throw threads_.error(
        load->warp * Threads::lanes + load->lane, load->site,
        llvm::formatv("the block exits and nobody has waited for this {0}",
                      load->kind == AccessKind::store_async ? "store of its cluster" : "TMA load"));
}

Index3 Block::block_index() {
  const unsigned i = name().index;
  return {i % launch_.grid.x, i / launch_.grid.x % launch_.grid.y,
          i / launch_.grid.x / launch_.grid.y};
}

// ---- Kernels that depend on others

void Block::dependency_wait(Site at) {
  threads_.enter(at);
  has_waited_ = true;
  const std::uint32_t first_of_launch = name().ordinal - name().index;
  while (known_complete_ < first_of_launch) threads_.block({WaitReason::dependency});
  threads_.self().clock.learn_all_below(first_of_launch);
}

void Block::launch_dependents(Site at) {
  threads_.enter(at);
  lets_dependents_start_ = true;
}

void Block::complete_dependency(std::uint32_t ordinal) {
  known_complete_ = ordinal;
  for (int t = 0; t < threads_.count(); t++)
    if (threads_.reason(t).kind == WaitReason::dependency) threads_.wake(t);
}

// ---- Reports

std::string Block::where(int thread) const {
  if (threads_.has_exited(thread)) return "exited";
  const Site site = threads_.site(thread);
  if (site.file == nullptr) return "has come to no instruction";
  const std::string place = " at " + text(site);
  const WaitReason reason = threads_.reason(thread);
  switch (reason.kind) {
    case WaitReason::lanes:
      return "waits for the other lanes" + place;
    case WaitReason::mbarrier:
    case WaitReason::named_barrier:
      return "waits " + barriers_.describe_wait(reason) + place;
    case WaitReason::registers:
      return llvm::formatv("waits for {0} registers a thread, {1} are spare{2}", reason.which,
                           registers_.spare(), place);
    case WaitReason::dependency:
      return "waits for the kernel before" + place;
    case WaitReason::cluster:
      return "waits " + cluster_.describe_wait() + place;
    case WaitReason::nothing:
      break;
  }
  return "was last" + place;
}

std::string Block::describe() const {
  return threads_.describe([this](int thread) { return where(thread); });
}

}  // namespace streamattn::emulator
