// The files of tests/golden.
#include <llvm/Support/FormatVariadic.h>

#include <set>

#include "tests/support/golden_cases.h"

namespace streamattn {

std::filesystem::path GoldenFile::path() const {
  return std::filesystem::path(STREAMATTN_GOLDEN_DIR) / (name + ".cu");
}

std::vector<GoldenFile> golden_files() {
  std::vector<GoldenFile> files;
  std::set<std::string> known;
  const auto add_shared = [&](const std::string& file, const Source& source) {
    if (known.insert(file).second) files.push_back({file, source});
  };
  std::vector<GoldenCase> cases = backward_golden_cases();
  for (auto& more : {append_golden_cases(), merge_golden_cases(), golden_cases()})
    cases.insert(cases.end(), more.begin(), more.end());
  for (const GoldenCase& golden : cases) {
    const Problem& problem = golden.problem;
    for (const Source& source : golden.program()) {
      const std::string kernel = source.entry.substr(source.entry.find('_') + 1);
      const std::string type(name(problem.dtype));
      if (golden.operation == Operation::append || golden.operation == Operation::merge ||
          kernel == "forward" || kernel == "backward_wgmma")
        files.push_back({golden.name, source});
      else if (kernel == "combine" || kernel == "combine_listed")
        add_shared(kernel + "_" + std::string(name(problem.output_dtype())), source);
      else if (kernel == "row_sums" && !problem.is_ragged())
        add_shared(llvm::formatv("{0}_{1}_d{2}", kernel, type, problem.v_head_dim()), source);
      else if (kernel == "sum_parts")
        add_shared(
            llvm::formatv("{0}_{1}_d{2}x{3}", kernel, type, problem.head_dim, problem.v_head_dim()),
            source);
      else if (kernel == "sum_copies" || (kernel == "clear_unseen" && !problem.is_ragged()))
        add_shared(kernel, source);
      else
        files.push_back({golden.name + "_" + kernel, source});
    }
  }
  return files;
}

}  // namespace streamattn
