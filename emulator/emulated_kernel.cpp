// Following plans on the emulator.
#include "emulator/emulated_kernel.h"

#include <llvm/Support/FormatVariadic.h>

#include "emulator/block.h"
#include "emulator/guarded_tensor.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

[[noreturn]] void fail(const std::string& entry, unsigned block, const std::string& what) {
  throw Error(ErrorCode::launch_failed, llvm::formatv("{0}, block {1}: {2}", entry, block, what));
}

}  // namespace

EmulatedProgram::EmulatedProgram(const Program& program, std::span<const EmbeddedFile> instead) {
  for (const Source& source : program) {
    kernels_.push_back({source, emulator::HostKernel(source, instead)});
    if (const auto bytes = kernels_.back().host.parameter_bytes(); bytes != source.parameter_bytes)
      throw Error(ErrorCode::load_failed,
                  llvm::formatv("{0} takes {1} bytes of parameters, this library passes {2}",
                                source.entry, bytes, source.parameter_bytes));
  }
}

EmulatedExecutor::EmulatedExecutor(Problem problem, Schedule schedule, const Target& target,
                                   std::shared_ptr<const EmulatedProgram> program, Emulation how)
    : problem_(std::move(problem)),
      schedule_(std::move(schedule)),
      target_(target),
      program_(std::move(program)),
      how_(how) {}

std::size_t EmulatedExecutor::workspace_bytes(const ResolvedCall& call) const {
  return streamattn::workspace_bytes(problem_, schedule_, call, how_.multiprocessors,
                                     target_.l2_bytes);
}

void EmulatedExecutor::run(const ResolvedCall& resolved, const Workspace& workspace,
                           Stream /*stream*/) const {
  ForwardCall call = std::get<ForwardCall>(resolved);
  const emulator::GuardedTensor o("o", call.o, call.o.dtype);
  const emulator::GuardedTensor lse("lse", call.lse, DType::f32);
  call.o = o.view(), call.lse = lse.view();
  unsigned counter = 0;
  const auto zero_word = [&] { return &counter; };
  WorkspaceSlices slices(workspace.data);
  const Plan steps =
      plan(problem_, schedule_, call,
           {how_.multiprocessors, target_.l2_bytes, emulator::encode, zero_word}, slices);
  require_workspace(workspace, slices.bytes());
  for (const Step& step : steps) {
    const auto& launched = std::get<KernelLaunch>(step);
    launch(launched);
    const std::string& entry = (*program_)[launched.kernel].source.entry;
    for (const auto* tensor : {&o, &lse})
      if (std::string what = tensor->stray_store(); !what.empty()) fail(entry, 0, what);
    if (counter != 0)
      fail(entry, launched.blocks - 1,
           llvm::formatv("leaves the tile counter at {0}; the next launch needs 0", counter));
  }
  o.copy_back();
  lse.copy_back();
}

void EmulatedExecutor::launch(const KernelLaunch& step) const {
  const auto& [source, host] = (*program_)[step.kernel];
  emulator::BlockLaunch launch{.kernel = source.entry,
                               .blocks = step.blocks,
                               .threads = source.threads,
                               .smem_bytes = source.dynamic_smem_bytes,
                               .trace = how_.trace};
  for (launch.block = 0; launch.block < launch.blocks; launch.block++) {
    launch.seed = how_.seed * 1000003 + launch.block;
    emulator::Block block(launch);
    host.set_machine(&block);
    block.run([&] { host(step.parameters.data()); });
  }
}

}  // namespace streamattn
