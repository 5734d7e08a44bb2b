// Launching on the emulator.
#include "emulator/emulated_kernel.h"

#include <algorithm>

#include "compiler/families/flash_wgmma/flash_wgmma.h"
#include "compiler/operations/forward_check.h"
#include "emulator/device.h"
#include "emulator/global_memory.h"
#include "emulator/tensor_map.h"
#include "runtime/gpu/flash_launch.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

Resources emulated_resources(const Problem& problem, const Schedule& schedule) {
  Resources resources;
  resources.dynamic_smem_bytes = flash_tiling(problem, schedule).bytes();
  return resources;
}

std::span<const std::byte> bytes_of(const ForwardParams& params) {
  return std::as_bytes(std::span(&params, 1));
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
  emulator::GlobalMemory memory;
  auto place = [&](const char* name, Tensor& tensor, DType type, emulator::Role role) {
    tensor = memory.add_tensor(name, tensor, bytes(type), role);
  };
  place("q", call.q, problem().dtype, emulator::Role::input);
  place("k", call.k, problem().dtype, emulator::Role::input);
  place("v", call.v, problem().dtype, emulator::Role::input);
  place("o", call.o, problem().output_dtype(), emulator::Role::output);
  place("lse", call.lse, DType::f32, emulator::Role::output);
  const int sms =
      call.max_sms > 0 ? std::min(call.max_sms, how.multiprocessors) : how.multiprocessors;
  ForwardParams params =
      flash_params(problem(), schedule(), call, {sms, target().l2_bytes, emulator::encode});
  if (params.tiles == 0) return;
  if (schedule().tile_order == TileOrder::dynamic)
    params.tile_counter = static_cast<unsigned*>(
        memory.add_bytes("the tile counter", sizeof(unsigned), emulator::Role::counter));

  const emulator::Step launch =
      kernel_.launch({.grid = {static_cast<unsigned>(std::min(params.tiles, sms)), 1, 1},
                      .threads = flash_threads(schedule()),
                      .smem_bytes = resources().dynamic_smem_bytes},
                     bytes_of(params));
  emulator::Device(memory, {how.seed, how.multiprocessors, how.slice_seconds, how.trace})
      .run({&launch, 1});
  if (const std::string what = memory.unfinished(); !what.empty())
    throw Error(ErrorCode::launch_failed, entry_ + " " + what);
  memory.copy_back();
}

}  // namespace streamattn
