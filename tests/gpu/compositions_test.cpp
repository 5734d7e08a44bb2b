// Every named mask with every named score on a GPU, in every variation: the table of docs/masks.md.
#include <llvm/Support/Parallel.h>

#include <string>
#include <vector>

#include "tests/gpu/gpu_case.h"
#include "tests/support/catch.h"
#include "tests/support/compositions.h"
#include "tests/support/skip.h"

using namespace streamattn;

TEST_CASE("every named mask with every named score is as accurate as plain attention") {
  if (auto reason = no_gpu_reason(); !reason.empty()) SKIP_TEST(reason);
  std::vector<ForwardCase> cases;
  for (const NamedExpr& mask : named_masks())
    for (const NamedExpr& score : named_scores())
      for (int variation = 0; variation < variation_count; variation++)
        cases.push_back(
            composed_case(mask, score, static_cast<Variation>(variation), /*has_tiles=*/true));
  // Compiles on all cores first: that is most of the time of this test.
  llvm::parallelFor(0, cases.size(),
                    [&](std::size_t i) { gpu_jit().forward(cases[i].problem, cases[i].shape); });
  for (const ForwardCase& c : cases) check_case(c, gpu_jit().forward(c.problem, c.shape));
}
