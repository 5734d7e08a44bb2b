// Starting and ending launches and blocks, and what ends them early.
#include "emulator/device.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

#include "emulator/violation.h"
#include "streamattn/error.h"

namespace streamattn::emulator {
namespace {

// Slices in which no thread did anything that another could wait for: many times what a block
// needs to come from one barrier to the next.
constexpr std::int64_t most_quiet_slices = 200'000;

constexpr std::uint32_t most_blocks = 1U << 16;  // what an Actor can tell apart

}  // namespace

Device::Device(GlobalMemory& memory, const DeviceOptions& options)
    : memory_(memory),
      options_(options),
      interrupts_(options.slice_seconds),
      scheduler_(options.seed, interrupts_),
      background_(scheduler_) {}

void Device::run(std::span<const Command> commands) {
  for (;;) {
    while (advance(commands)) {
    }
    if (launches_.empty()) return;
    if (background_.is_due())
      background_.happen();
    else if (!scheduler_.can_run())
      report_stuck("deadlock");
    else
      run_slice();
    if (scheduler_.slices_without_progress() > most_quiet_slices)
      report_stuck("livelock, threads run and nothing changes");
  }
}

void Device::run_slice() {
  const Interruption interruption = scheduler_.run_slice([this](int warp) {
    const auto& [block, code] = warps_[warp];
    interrupts_.set_code(code->text);
    code->select(block);
  });
  if (interruption) report(interruption);
}

// ---- Launches

// Begins and ends what can be; returns whether there was anything.
bool Device::advance(std::span<const Command>& commands) {
  bool changed = false;
  for (Launch& launch : launches_) changed |= end_blocks(launch);
  while (!launches_.empty() && launches_.front().is_complete()) end_launch(), changed = true;
  for (Launch& launch : launches_) changed |= start_blocks(launch);
  if (!commands.empty() && may_begin(commands.front())) {
    begin(commands.front());
    commands = commands.subspan(1);
    changed = true;
  }
  return changed;
}

bool Device::Launch::lets_dependents_start() const {
  return started == blocks && std::all_of(running.begin(), running.end(), [](const auto& block) {
           return block->lets_dependents_start();
         });
}

bool Device::may_begin(const Command& command) const {
  if (launches_.empty()) return true;
  const auto* launch = std::get_if<GridLaunch>(&command);
  return launch != nullptr && launch->dependent && launches_.back().lets_dependents_start();
}

void Device::begin(const Command& command) {
  if (const auto* clear = std::get_if<Zeroing>(&command))
    return memory_.clear(clear->address, clear->bytes);
  const auto& launch = std::get<GridLaunch>(command);
  const unsigned blocks = launch.grid.x * launch.grid.y * launch.grid.z;
  if (blocks_ + blocks > most_blocks)
    throw Error(ErrorCode::launch_failed,
                llvm::formatv("{0}: the emulator runs at most {1} blocks of a program",
                              launch.kernel, most_blocks));
  if (blocks % launch.cluster != 0)
    throw Error(ErrorCode::launch_failed,
                llvm::formatv("{0}: {1} blocks are no whole clusters of {2}", launch.kernel, blocks,
                              launch.cluster));
  // Kernels behind one that has itself begun early know no more than it did.
  const std::uint32_t known = launches_.empty() ? blocks_ : launches_.back().complete_below;
  launches_.push_back({&launch, blocks_, known, blocks});
  blocks_ += blocks;
}

bool Device::start_blocks(Launch& launch) {
  bool changed = false;
  const int resident = options_.multiprocessors * launch.what->blocks_per_multiprocessor;
  // A cluster is resident as a whole, if there are enough multiprocessors or not.
  const int most = std::max(resident, launch.what->cluster) - launch.what->cluster;
  while (launch.started < launch.blocks && static_cast<int>(launch.running.size()) <= most)
    start_cluster(launch), changed = true;
  return changed;
}

void Device::start_cluster(Launch& launch) {
  const auto cluster = std::make_shared<Cluster>(launch.what->kernel, launch.what->cluster);
  for (unsigned rank = 0; rank < static_cast<unsigned>(cluster->blocks()); rank++)
    start_block(launch, {cluster, rank});
}

void Device::start_block(Launch& launch, ClusterPlace place) {
  const GridLaunch& what = *launch.what;
  const unsigned index = launch.started++;
  launch.running.push_back(std::make_unique<Block>(
      BlockLaunch{what.code.thread, what.grid, what.threads, what.smem_bytes, what.registers},
      BlockName{what.kernel, index, launch.first_block + index, options_.trace},
      launch.complete_below, Surroundings{scheduler_, background_, memory_}, std::move(place)));
  warps_.resize(warps_.size() + what.threads / Scheduler::lanes,
                {launch.running.back().get(), &what.code});
  if (&launch == &launches_.front()) launch.running.back()->complete_dependency(launch.first_block);
}

bool Device::end_blocks(Launch& launch) {
  const auto exited = [&](const std::unique_ptr<Block>& block) {
    if (!block->has_exited()) return false;
    block->check_exit();
    launch.has_waited |= block->has_waited_for_dependency();
    return true;
  };
  return std::erase_if(launch.running, exited) > 0;
}

// The first launch is complete, and so is what it has stored.
void Device::end_launch() {
  const Launch& launch = launches_.front();
  if (launch.what->dependent && !launch.has_waited)
    throw Error(
        ErrorCode::launch_failed,
        llvm::formatv("{0}: no thread has called dependency_wait, so what depends on it may "
                      "begin before the kernels in front of it are complete",
                      launch.what->kernel));
  while (!background_.empty()) background_.happen();
  launches_.pop_front();
  if (launches_.empty()) return;
  for (auto& block : launches_.front().running)
    block->complete_dependency(launches_.front().first_block);
}

// ---- Reports

void Device::report(const Interruption& interruption) const {
  const Threads& threads = warps_[scheduler_.warp()].first->threads();
  auto what = [&]() -> std::string {
    switch (interruption.kind) {
      case Interruption::time:
        return llvm::formatv("comes to no other instruction for {0} seconds",
                             options_.slice_seconds);
      case Interruption::arithmetic:
        return "divides by zero behind this instruction";
      default:
        return llvm::formatv("touches {0} behind this instruction, and not by a function of ptx/",
                             memory_.describe(interruption.address));
    }
  };
  const int thread = threads.current();
  throw threads.error(thread, threads.site(thread), what());
}

void Device::report_stuck(const char* what) const {
  std::string text;
  for (const Launch& launch : launches_)
    for (const auto& block : launch.running)
      text +=
          llvm::formatv("{0}{1}, block {2}: {3}{4}", text.empty() ? "" : "\n", launch.what->kernel,
                        block->name().index, text.empty() ? what : "", block->describe());
  throw Error(ErrorCode::launch_failed, text);
}

}  // namespace streamattn::emulator
