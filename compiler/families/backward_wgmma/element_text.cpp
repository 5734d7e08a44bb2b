// The emitted files that compute gradients of named tensors.
#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include "compiler/expr/element_slopes.h"
#include "compiler/expr/names.h"
#include "compiler/expr/score_policy.h"
#include "compiler/families/backward_wgmma/backward_wgmma.h"

namespace streamattn {
namespace {

bool holds_reals(const ExprName& tensor) {
  return tensor.dtype != DType::i32 && tensor.dtype != DType::u8;
}

std::string owners_text(const Problem& problem, int tensor) {
  const ElementOwners owners = element_owners(problem, tensor);
  const auto text = [](bool value) { return value ? "true" : "false"; };
  return llvm::formatv(
      "  static constexpr streamattn::ElementOwners owners = {{\n"
      "      .batch = {0}, .head = {1}, .kv_head = {2}, .query = {3}, .key = {4}};\n",
      text(owners.batch), text(owners.head), text(owners.kv_head), text(owners.query),
      text(owners.key));
}

std::string first_lines(const Problem& problem, std::string_view tensor, const Target& target,
                        const char* what) {
  return backward_header(target) +
         llvm::formatv("// problem:  {0}\n// gradient of \"{1}\" in the {2}\n", problem.describe(),
                       tensor, what)
             .str();
}

Source sum_copies(const Target& target) {
  std::string text = backward_header(target);
  text += "// sums of copies of a gradient\n#include \"backward/sum_copies.cuh\"\n\n";
  text += llvm::formatv("struct Spec {{\n  static constexpr int threads = {0};\n};\n\n",
                        sum_copies_threads);
  text += backward_kernel(sum_copies_threads, "", "sum_copies", "SumCopiesParams");
  return {.text = std::move(text),
          .entry = "streamattn_sum_copies",
          .threads = sum_copies_threads,
          .parameter_bytes = sizeof(SumCopiesParams)};
}

Source of_score(const Problem& problem, int tensor, std::string_view called,
                const BackwardSchedule& schedule, const Target& target) {
  const ElementTiling tiling{problem.head_dim, problem.v_head_dim()};
  std::string text = first_lines(problem, called, target, "score");
  text += "#include \"backward/element_gradients.cuh\"\n\nnamespace streamattn {\n";
  text += llvm::formatv("WGMMA_SHAPE({0}, {1})\n\n", name(problem.dtype), ElementTiling::tile);
  text += element_score_policy(problem, called) + "}\n\nstruct Spec {\n";
  text += llvm::formatv("  using Element = streamattn::{0};\n", name(problem.dtype));
  text += "  using Score = streamattn::ProblemScore;\n";
  text += llvm::formatv("  static constexpr int group_size = {0};\n", problem.group_size);
  text += owners_text(problem, tensor);
  text += llvm::formatv(
      "  static constexpr streamattn::ElementTiling tiling = {{\n"
      "      .head_dim = {0}, .value_head_dim = {1}};\n",
      tiling.head_dim, tiling.value_head_dim);
  if (problem.dropout) text += "  static constexpr bool drops = true;\n";
  text += packed_tiles_text(problem, schedule);
  text +=
      "};\n\n" + backward_kernel(ElementTiling::threads, "", "element_gradients", "ElementParams");
  return {.text = std::move(text),
          .entry = "streamattn_element_gradients",
          .threads = ElementTiling::threads,
          .dynamic_smem_bytes = tiling.bytes(),
          .parameter_bytes = sizeof(ElementParams)};
}

Source of_sink(const Problem& problem, int tensor, std::string_view called,
               const BackwardSchedule& schedule, const Target& target) {
  std::string text = first_lines(problem, called, target, "sink");
  text += "#include \"backward/sink_gradients.cuh\"\n\nnamespace streamattn {\n";
  text += sink_policy(problem, called) + "}\n\nstruct Spec {\n";
  text += "  using Sink = streamattn::ProblemSink;\n";
  text += llvm::formatv("  static constexpr int group_size = {0};\n", problem.group_size);
  text += owners_text(problem, tensor) + packed_tiles_text(problem, schedule) + "};\n\n";
  text += backward_kernel(sink_threads, "", "sink_gradients", "SinkParams");
  return {.text = std::move(text),
          .entry = "streamattn_sink_gradients",
          .threads = sink_threads,
          .parameter_bytes = sizeof(SinkParams)};
}

}  // namespace

std::vector<ElementKernel> element_kernels(const Problem& problem) {
  const ExprNames names(problem);
  std::vector<bool> in_score(names.tensors.size()), in_sink(names.tensors.size());
  const auto note = [&](const Expr& expr, std::vector<bool>& where) {
    for (const ElementSlope& slope : element_slopes(expr))
      where[names.index_of(slope.element.node())] = true;
  };
  note(problem.score, in_score);
  if (problem.sink) note(*problem.sink, in_sink);
  std::vector<ElementKernel> kernels;
  for (int tensor = 0; tensor < static_cast<int>(names.tensors.size()); tensor++) {
    if (in_score[tensor]) kernels.push_back({tensor, false});
    if (in_sink[tensor]) kernels.push_back({tensor, true});
  }
  return kernels;
}

ElementOwners element_owners(const Problem& problem, int tensor) {
  const std::uint32_t owners = element_owners(problem, ExprNames(problem).tensors[tensor].name);
  const auto has = [&](Variable variable) {
    return (owners >> static_cast<int>(variable) & 1) != 0;
  };
  return {.batch = has(Variable::batch),
          .head = has(Variable::head),
          .kv_head = has(Variable::kv_head),
          .query = has(Variable::q),
          .key = has(Variable::k)};
}

Program element_sources(const Problem& problem, const BackwardSchedule& schedule,
                        const Target& target) {
  const ExprNames names(problem);
  if (llvm::none_of(names.tensors, holds_reals)) return {};
  Program program = {sum_copies(target)};
  for (const auto [tensor, is_of_sink] : element_kernels(problem))
    program.push_back((is_of_sink ? of_sink : of_score)(problem, tensor, names.tensors[tensor].name,
                                                        schedule, target));
  return program;
}

}  // namespace streamattn
