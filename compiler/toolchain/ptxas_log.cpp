// Reads ptxas's lines out of NVRTC's log.
#include "compiler/toolchain/ptxas_log.h"

#include <llvm/ADT/SmallVector.h>
#include <llvm/ADT/StringRef.h>
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>

namespace streamattn {
namespace {

llvm::SmallVector<llvm::StringRef> lines_of(std::string_view log) {
  llvm::SmallVector<llvm::StringRef> lines;
  llvm::StringRef(log.data(), log.size()).split(lines, '\n', -1, /*KeepEmpty=*/false);
  return lines;
}

/// The number in front of `unit`: 168 for "Used 168 registers" and " registers"; 0 without any.
int number_before(llvm::StringRef line, llvm::StringRef unit) {
  const std::size_t end = line.find(unit);
  if (end == llvm::StringRef::npos) return 0;
  int number = 0;
  const llvm::StringRef before = line.take_front(end);
  before.drop_front(before.rfind(' ') + 1).getAsInteger(10, number);
  return number;
}

/// Whether the line warns of lost speed: "(C7507)" to "(C7519)".
bool is_advisory(llvm::StringRef line) {
  int code = 0;
  llvm::StringRef rest = line.drop_front(std::min(line.size(), line.find("(C75")));
  return rest.consume_front("(C") && !rest.consumeInteger(10, code) && rest.consume_front(")") &&
         code >= 7507 && code <= 7519;
}

}  // namespace

PtxasReport parse_ptxas_log(std::string_view log, std::string_view entry) {
  PtxasReport report;
  Resources& resources = report.resources;
  bool in_entry = false;
  for (llvm::StringRef line : lines_of(log)) {
    const auto [head, function] = line.split("Function properties for ");
    if (!function.empty())
      in_entry = function.trim() == llvm::StringRef(entry.data(), entry.size());
    // A spill in a function that the entry calls costs as much as one of its own.
    resources.spill_store_bytes += number_before(line, " bytes spill stores");
    resources.spill_load_bytes += number_before(line, " bytes spill loads");
    if (in_entry) {
      resources.stack_bytes += number_before(line, " bytes stack frame");
      resources.registers += number_before(line, " registers");
      resources.static_smem_bytes += number_before(line, " bytes smem");
    }
    if (!is_advisory(line)) continue;
    const std::string advisory = line.substr(line.find("(C75")).trim().str();
    if (std::ranges::find(report.advisories, advisory) == report.advisories.end()) {
      report.advisories.push_back(advisory);
    }
  }
  if (resources.spill_store_bytes || resources.spill_load_bytes) {
    report.advisories.push_back(llvm::formatv("spills: {0} bytes stored, {1} bytes loaded",
                                              resources.spill_store_bytes,
                                              resources.spill_load_bytes));
  }
  return report;
}

std::string first_errors(std::string_view log) {
  constexpr std::size_t max_lines = 24;  // four or five errors with the lines that show their place
  const auto lines = lines_of(log);
  const auto is_error = [](llvm::StringRef line) {
    return line.contains("error") || line.contains("fatal");
  };
  auto line = std::ranges::find_if(lines, is_error);
  std::string errors;
  for (std::size_t count = 0; line != lines.end() && count < max_lines; ++line, ++count) {
    errors += (errors.empty() ? "" : "\n") + line->rtrim().str();
  }
  if (line != lines.end()) {
    errors += llvm::formatv("\n... and {0} more lines", lines.end() - line);
  }
  return errors;
}

}  // namespace streamattn
