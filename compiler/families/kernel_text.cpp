// Text that any kernel has.
#include "compiler/families/kernel_text.h"

#include <llvm/Support/FormatVariadic.h>

#include "compiler/families/launch_params.h"

namespace streamattn {
namespace {

const char* spelled(bool value) { return value ? "true" : "false"; }

}  // namespace

std::string kernel_header(Operation operation, std::string_view family, const Target& target) {
  return llvm::formatv("// streamattn  {0}  {1}  {2}\n", name(operation), family, target.name);
}

std::string batch_layout_text(const Problem& problem) {
  const BatchLayout layout = batch_layout(problem);
  return llvm::formatv(
      "  static constexpr streamattn::BatchLayout layout = {{\n"
      "      .q_packed = {0}, .kv_packed = {1}, .kv_paged = {2},\n"
      "      .q_lens = {3}, .kv_lens = {4}};\n",
      spelled(layout.q_packed), spelled(layout.kv_packed), spelled(layout.kv_paged),
      spelled(layout.q_lens), spelled(layout.kv_lens));
}

std::string kernel_text(const char* name, const char* parameters, int threads, int blocks) {
  return llvm::formatv(
      "extern \"C\" __global__ void __launch_bounds__({0}, {3})\n"
      "streamattn_{1}(const __grid_constant__ streamattn::{2} params) {{\n"
      "  streamattn::{1}<Spec>(params);\n"
      "}\n",
      threads, name, parameters, blocks);
}

}  // namespace streamattn
