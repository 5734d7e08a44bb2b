// Running the kernels one after the other.
#include "tests/emulated/split_program.h"

#include <limits>
#include <vector>

#include "compiler/families/flash_wgmma/flash_wgmma.h"
#include "emulator/block.h"
#include "runtime/gpu/flash_launch.h"
#include "tests/support/catch.h"

namespace streamattn {
namespace {

constexpr std::size_t guard = 64;  // floats in front of and behind each part of the workspace

/// Part of the workspace between guards, all of it NaN.
struct GuardedFloats {
  explicit GuardedFloats(std::int64_t count)
      : memory(static_cast<std::size_t>(count) + 2 * guard,
               std::numeric_limits<float>::quiet_NaN()) {}

  float* data() { return memory.data() + guard; }

  bool has_whole_guards() const {
    for (std::size_t i = 0; i < guard; i++)
      if (memory[i] == memory[i] || memory[memory.size() - 1 - i] == memory[memory.size() - 1 - i])
        return false;
    return true;
  }

  std::vector<float> memory;
};

template <class Params>
void run_blocks(const emulator::HostKernel& kernel, emulator::BlockLaunch launch,
                const Params& params) {
  const std::uint64_t seed = launch.seed;
  for (launch.block = 0; launch.block < launch.blocks; launch.block++) {
    launch.seed = seed * 1000003 + launch.block;
    emulator::Block block(launch);
    kernel.set_machine(&block);
    block.run([&] { kernel(params); });
  }
}

}  // namespace

SplitProgram::SplitProgram(const GoldenCase& golden, Overlay instead)
    : SplitProgram(golden, golden.source(), instead) {}

SplitProgram::SplitProgram(const GoldenCase& golden, const Source& shares, Overlay instead)
    : golden_(golden),
      shares_(shares, instead),
      combine_(combine_source(golden.problem), instead) {}

void SplitProgram::run(const ForwardArgs& args, int splits, std::uint64_t seed,
                       int multiprocessors) const {
  const ForwardCall call = resolve(golden_.problem, args);
  const std::int64_t rows = splits * call.batch() * call.heads() * call.q_len();
  GuardedFloats o(rows * call.o.dim), lse(rows);
  const KeySplit split{splits, {o.data(), lse.data()}};
  FlashParams params = flash_params(golden_.problem, golden_.schedule, call,
                                    {multiprocessors, 1 << 20, emulator::encode}, split);
  unsigned counter = 0;
  params.order.item_counter = &counter;
  run_blocks(shares_,
             {.kernel = "streamattn_forward",
              .blocks = static_cast<unsigned>(std::min(params.order.items, multiprocessors)),
              .threads = flash_threads(golden_.schedule),
              .smem_bytes = flash_tiling(golden_.problem, golden_.schedule).bytes(),
              .seed = seed},
             params);
  CHECK(counter == 0);
  run_blocks(combine_,
             {.kernel = "streamattn_combine",
              .blocks = static_cast<unsigned>(multiprocessors),
              .threads = combine_threads,
              .seed = seed},
             combine_params(call, split));
  CHECK(o.has_whole_guards());
  CHECK(lse.has_whole_guards());
}

}  // namespace streamattn
