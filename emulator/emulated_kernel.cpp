// Launching on the emulator.
#include "emulator/emulated_kernel.h"

#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

#include "compiler/families/flash_wgmma/flash_wgmma.h"
#include "compiler/operations/forward_check.h"
#include "emulator/block.h"
#include "emulator/guarded_tensor.h"
#include "runtime/gpu/flash_launch.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

Resources emulated_resources(const Problem& problem, const Schedule& schedule) {
  Resources resources;
  resources.dynamic_smem_bytes = flash_tiling(problem, schedule).bytes();
  return resources;
}

[[noreturn]] void fail(const std::string& entry, unsigned block, const std::string& what) {
  throw Error(ErrorCode::launch_failed, llvm::formatv("{0}, block {1}: {2}", entry, block, what));
}

}  // namespace

EmulatedKernel::EmulatedKernel(const Problem& problem, const Choice& choice, const Source& source,
                               std::span<const EmbeddedFile> instead)
    : Kernel(problem, choice, find_target(source.target),
             emulated_resources(problem, choice.schedule), /*from_cache=*/false),
      entry_(source.entry),
      kernel_(source, instead) {}

void EmulatedKernel::launch(const ForwardArgs& args, Stream /*stream*/) const { emulate(args, {}); }

void EmulatedKernel::emulate(const ForwardArgs& args, const Emulation& how) const {
  check_args(problem(), args, /*device=*/true);
  ForwardCall call = resolve(problem(), args);
  const emulator::GuardedTensor o("o", call.o, problem().output_dtype());
  const emulator::GuardedTensor lse("lse", call.lse, DType::f32);
  call.o = o.view(), call.lse = lse.view();
  const int sms =
      call.max_sms > 0 ? std::min(call.max_sms, how.multiprocessors) : how.multiprocessors;
  FlashParams params =
      flash_params(problem(), schedule(), call, {sms, target().l2_bytes, emulator::encode});
  unsigned counter = 0;
  if (schedule().tile_order == TileOrder::dynamic) params.order.item_counter = &counter;

  emulator::BlockLaunch launch{.kernel = entry_,
                               .blocks = static_cast<unsigned>(std::min(params.order.items, sms)),
                               .threads = flash_threads(schedule()),
                               .smem_bytes = resources().dynamic_smem_bytes,
                               .trace = how.trace};
  for (launch.block = 0; launch.block < launch.blocks; launch.block++) {
    launch.seed = how.seed * 1000003 + launch.block;
    emulator::Block block(launch);
    kernel_.set_machine(&block);
    block.run([&] { kernel_(params); });
    for (const auto* tensor : {&o, &lse})
      if (std::string what = tensor->stray_store(); !what.empty()) fail(entry_, launch.block, what);
  }
  if (counter != 0)
    fail(entry_, launch.blocks - 1,
         llvm::formatv("leaves the tile counter at {0}; the next launch needs 0", counter));
  o.copy_back();
  lse.copy_back();
}

}  // namespace streamattn
