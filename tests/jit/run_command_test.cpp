// `streamattn run` where kernels compute nothing: every operation is reported as wrong.
#include "tests/jit/fake_gpu.h"
#include "tests/support/scratch.h"
#include "tests/support/skip.h"
#include "tests/support/tool_run.h"

namespace streamattn {
namespace {

TEST_CASE("results that a GPU never wrote are wrong, and gradients of such results too") {
  use_fake_gpu();
  if (!has_nvrtc()) SKIP_TEST("no NVRTC");
  const ScratchFolder folder;
  const ScopedVariable cache("STREAMATTN_CACHE_DIR", folder.path().string());
  for (const char* op : {"forward", "backward", "append", "merge"}) {
    CAPTURE(op);
    const ToolRun run =
        tool({"run", "--op", op, "--head-dim", "64", "--heads", "2", "--seq", "70"});
    CHECK(run.exit == Exit::wrong);
    CHECK(run.says("WRONG: "));
  }
}

}  // namespace
}  // namespace streamattn
