// Everything that a family has to answer, for kernels that copy V.
#include "compiler/families/copy_v/copy_v.h"

#include <llvm/Support/FormatVariadic.h>

#include "streamattn/error.h"
#include "templates/forward/copy_v_params.h"

namespace streamattn {
namespace {

std::string misses(const Target& target) {
  if (target.is_cpu()) return "the CPU takes no source";
  return {};
}

std::string declines(const Problem& problem, const Target&) {
  if (problem.dtype != DType::f32 || problem.output_dtype() != DType::f32)
    return "only float32 is copied";
  if (!problem.mask.same_as(Expr())) return "the only key is never hidden";
  return {};
}

std::string refuses(const Problem&, const Schedule& schedule, const Target&) {
  const auto [threads] = settings_of<CopyVSchedule>(schedule);
  if (threads % 32 != 0 || threads < 32 || threads > 1024)
    return llvm::formatv("threads {0} is not a multiple of 32 in 32..1024", threads);
  return {};
}

std::optional<Schedule> first_guess(const Problem&, const Shape& shape, const Target&) {
  if (shape.q_len != 1 || shape.kv_len != 1) return {};
  return to_schedule(CopyVSchedule{});
}

std::vector<Schedule> schedules(const Problem& problem, const Shape& shape, const Target& target) {
  const auto guess = first_guess(problem, shape, target);
  return guess ? std::vector{*guess} : std::vector<Schedule>();
}

Program emit_copy(const Problem& problem, const Schedule& schedule, const Target& target) {
  const auto [threads] = settings_of<CopyVSchedule>(schedule);
  std::string text;
  text += llvm::formatv("// streamattn  forward  {0}  {1}\n", CopyVSchedule::family, target.name);
  text += llvm::formatv("// problem:  {0}\n", problem.describe());
  text += "#include \"forward/copy_v.cuh\"\n\n";
  text += "struct Spec {\n";
  text += llvm::formatv("  static constexpr int head_dim = {0}, value_head_dim = {1};\n",
                        problem.head_dim, problem.v_head_dim());
  text += llvm::formatv("  static constexpr int group_size = {0}, threads = {1};\n",
                        problem.group_size, threads);
  text += "};\n\n";
  text += llvm::formatv("extern \"C\" __global__ void __launch_bounds__({0})\n", threads);
  text +=
      "streamattn_copy_v(const __grid_constant__ streamattn::CopyVParams params) {\n"
      "  streamattn::copy_v<Spec>(params);\n"
      "}\n";
  return {{.text = text,
           .entry = "streamattn_copy_v",
           .threads = threads,
           .parameter_bytes = sizeof(CopyVParams)}};
}

Strides strides(const Tensor& t) { return {t.batch_stride, t.seq_stride, t.head_stride}; }

Plan plan_copy(const Problem&, const Schedule& schedule, const ResolvedCall& resolved,
               const DeviceFacts&, WorkspaceSlices&) {
  const auto& call = std::get<ForwardCall>(resolved);
  if (call.q_len() != 1 || call.kv_len() != 1)
    throw Error(ErrorCode::invalid_argument,
                llvm::formatv("q has {0} rows and k has {1}, copy_v needs one of each",
                              call.q_len(), call.kv_len()));
  const auto floats = [](const Tensor& t) { return static_cast<const float*>(t.data); };
  const CopyVParams params{.q = floats(call.q),
                           .k = floats(call.k),
                           .v = floats(call.v),
                           .q_strides = strides(call.q),
                           .k_strides = strides(call.k),
                           .v_strides = strides(call.v),
                           .output = {call.o.data, static_cast<float*>(call.lse.data),
                                      strides(call.o), strides(call.lse)},
                           .scale = call.scale,
                           .batch = static_cast<int>(call.batch()),
                           .heads = static_cast<int>(call.heads())};
  const auto [threads] = settings_of<CopyVSchedule>(schedule);
  const std::int64_t rows = call.batch() * call.heads();
  Plan steps;
  steps.emplace_back(std::in_place_type<KernelLaunch>, 0,
                     static_cast<unsigned>((rows + threads - 1) / threads), params);
  return steps;
}

}  // namespace

Family copy_v_family() {
  return {.name = CopyVSchedule::family,
          .operation = Operation::forward,
          .knobs = &knob_table<CopyVSchedule>(),
          .misses = misses,
          .declines = declines,
          .refuses = refuses,
          .first_guess = first_guess,
          .schedules = schedules,
          .emit = emit_copy,
          .plan = plan_copy};
}

}  // namespace streamattn
