// Following plans on the emulator.
#include "emulator/emulated_kernel.h"

#include "emulator/device.h"
#include "emulator/global_memory.h"
#include "emulator/tensor_map.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

emulator::Role role_of(TensorUse use) {
  using emulator::Role;
  switch (use) {
    case TensorUse::input:
      return Role::input;
    case TensorUse::output:
      return Role::output;
    case TensorUse::some_rows:
      return Role::some_rows;
    case TensorUse::accumulated:
      return Role::accumulated;
    case TensorUse::accumulated_rows:
      break;
  }
  return Role::accumulated_rows;
}

// Named tensors, where a call has them.
void place_named(ForwardCall& call, emulator::GlobalMemory& memory) {
  for (const TensorArg& given : call.named_tensors) {
    const void* at = memory.add_tensor(given);
    for (NamedTensor& named : call.named.tensors)
      if (named.data == given.data) named.data = at;
  }
}

// The call with its tensors as kernels address them.
ResolvedCall placed(ResolvedCall call, emulator::GlobalMemory& memory) {
  std::visit(
      [&](auto& operation) {
        operation.visit_tensors([&](const char* name, Tensor& tensor, TensorUse use) {
          tensor = memory.add_tensor(name, tensor, role_of(use));
        });
        if constexpr (requires { operation.visit_arrays([](auto&&...) {}); })
          operation.visit_arrays([&](const TensorArg& array, const std::int32_t*& pointer) {
            pointer = static_cast<const std::int32_t*>(memory.add_tensor(array));
          });
        if constexpr (requires { operation.gradients; })
          operation.visit_gradients(
              [&](NamedGradient& gradient, const NamedTensor& tensor, TensorUse use) {
                gradient.data = memory.add_gradient(gradient, tensor, role_of(use));
              });
        if constexpr (requires { forward_of(operation); })
          place_named(forward_of(operation), memory);
      },
      call);
  return call;
}

// The steps of a plan as commands of the device. The plan must live as long.
std::vector<emulator::Command> commands(const Plan& plan, const EmulatedProgram& program) {
  std::vector<emulator::Command> all;
  for (const Step& step : plan) {
    if (const auto* clear = std::get_if<Clear>(&step)) {
      all.emplace_back(emulator::Zeroing{clear->data, clear->bytes});
    } else {
      const auto& launch = std::get<KernelLaunch>(step);
      all.emplace_back(program[launch.kernel].launch(launch.blocks, launch.parameters(),
                                                     launch.overlaps_previous));
    }
  }
  return all;
}

}  // namespace

EmulatedProgram::EmulatedProgram(const Program& program, std::span<const EmbeddedFile> instead) {
  for (const Source& source : program) kernels_.emplace_back(source, instead);
}

EmulatedExecutor::EmulatedExecutor(Problem problem, Schedule schedule, const Target& target,
                                   std::shared_ptr<const EmulatedProgram> program, Emulation how)
    : problem_(std::move(problem)),
      schedule_(std::move(schedule)),
      target_(target),
      program_(std::move(program)),
      how_(how) {}

std::size_t EmulatedExecutor::workspace_bytes(const ResolvedCall& call) const {
  return streamattn::workspace_bytes(problem_, schedule_, call, how_.multiprocessors, l2_bytes());
}

// The workspace that was given is only asked for: kernels get slices that are guarded one by one.
void EmulatedExecutor::run(const ResolvedCall& call, const Workspace& workspace,
                           Stream /*stream*/) const {
  require_workspace(workspace, workspace_bytes(call));
  emulator::GlobalMemory memory;
  const ResolvedCall placed_call = placed(call, memory);
  const auto zero_words = [&](int count) {
    return static_cast<unsigned*>(memory.add_bytes(count == 1 ? "the zero word" : "the zero words",
                                                   sizeof(unsigned) * count,
                                                   emulator::Role::counter));
  };
  auto slices = memory.begin_workspace(workspace.bytes);
  const Plan steps = plan(problem_, schedule_, placed_call,
                          {how_.multiprocessors, l2_bytes(), emulator::encode, zero_words}, slices);
  memory.end_workspace(slices);
  if (steps.empty()) return;

  const std::vector<emulator::Command> all = commands(steps, *program_);
  emulator::Device(memory, {how_.seed, how_.multiprocessors, how_.slice_seconds, how_.trace})
      .run(all);
  if (const std::string what = memory.unfinished(); !what.empty())
    throw Error(ErrorCode::launch_failed,
                std::get<emulator::GridLaunch>(all.back()).kernel + " " + what);
  memory.copy_back();
}

}  // namespace streamattn
