// The emulated GPU: the launches of a program in a row, their blocks interleaved.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "emulator/block.h"
#include "emulator/trace.h"

namespace streamattn::emulator {

/// Code that threads of a machine can run.
struct Code {
  std::function<void(Machine*)> select;  ///< makes the machine that of the code
  std::function<void()> thread;          ///< runs one thread of the selected machine
  std::span<const char> text = {};       ///< instructions that may be interrupted
};

/// Blocks of one kernel.
struct GridLaunch {
  std::string kernel;  ///< for reports
  Code code;
  Index3 grid = {1, 1, 1};
  int threads = 0;  ///< of a block
  int smem_bytes = 0;
  int registers = 0;  ///< of a thread at launch
  int blocks_per_multiprocessor = 1;
  int cluster = 1;         ///< blocks that start together
  bool dependent = false;  ///< programmatically on the launch before
};

/// Workspace that is zeroed between launches.
struct Zeroing {
  void* address;
  std::size_t bytes;
};

/// What comes one after another on a stream.
using Command = std::variant<GridLaunch, Zeroing>;

struct DeviceOptions {
  std::uint64_t seed = 1;    ///< of the order in which threads run; equal seeds give equal runs
  int multiprocessors = 2;   ///< that blocks run on
  double slice_seconds = 2;  ///< most time that a thread may take between two instructions
  Trace* trace = nullptr;    ///< gets the timeline
};

class Device {
 public:
  Device(GlobalMemory& memory, const DeviceOptions& options);

  /// Runs the commands in order. Throws Error (launch_failed) with kernel, block, warp, line and
  /// cause for a broken contract, and with what every warp waits for when nothing can go on.
  void run(std::span<const Command> commands);

 private:
  /// A launch that has begun.
  struct Launch {
    const GridLaunch* what;
    std::uint32_t first_block;     // of the program
    std::uint32_t complete_below;  // what its blocks know from the start
    unsigned blocks;
    unsigned started = 0;
    bool has_waited = false;                           // for what it depends on
    std::vector<std::unique_ptr<Block>> running = {};  // blocks
    bool is_complete() const { return started == blocks && running.empty(); }
    bool lets_dependents_start() const;
  };

  bool advance(std::span<const Command>& commands);
  bool may_begin(const Command& command) const;
  void begin(const Command& command);
  bool start_blocks(Launch& launch);
  void start_cluster(Launch& launch);
  void start_block(Launch& launch, ClusterPlace place);
  bool end_blocks(Launch& launch);
  void end_launch();
  void run_slice();
  [[noreturn]] void report(const Interruption& interruption) const;
  [[noreturn]] void report_stuck(const char* what) const;

  GlobalMemory& memory_;
  DeviceOptions options_;
  Interrupts interrupts_;
  Scheduler scheduler_;
  Background background_;
  std::deque<Launch> launches_;                        // not yet complete
  std::vector<std::pair<Block*, const Code*>> warps_;  // whose each one is
  std::uint32_t blocks_ = 0;                           // so far
};

}  // namespace streamattn::emulator
