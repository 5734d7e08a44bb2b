// `streamattn emit` and `streamattn compile`.
#include <algorithm>
#include <fstream>

#include "streamattn/compiler.h"
#include "streamattn/masks.h"
#include "tests/support/scratch.h"
#include "tests/support/skip.h"
#include "tests/support/tool_run.h"

namespace streamattn {
namespace {

TEST_CASE("emit prints the short file, and with --flatten one that needs no other") {
  const Problem problem{.head_dim = 64, .mask = causal()};
  const Target& target = find_target("sm_90a");
  const Shape shape{.batch = 1, .kv_heads = 8, .q_len = 1024, .kv_len = 1024};
  const Source source = emit(Operation::forward, problem,
                             choose(Operation::forward, problem, shape, target).schedule, target)
                            .front();
  CHECK(tool({"emit", "--head-dim", "64", "--causal"}).out == source.text);
  const ToolRun flat = tool({"emit", "--head-dim", "64", "--mask", "k <= q", "--flatten"});
  CHECK(flat.out == source.flat);
  CHECK_FALSE(flat.says("#include \""));
}

TEST_CASE("emit has nothing to print for the CPU") {
  CHECK(tool({"emit", "--target", "cpu"}).exit == Exit::unsupported);
}

TEST_CASE("compile shows the resources and writes the binary") {
  const auto candidates = find_nvrtc();
  if (std::ranges::none_of(candidates, &NvrtcCandidate::usable)) SKIP_TEST("no usable NVRTC here");
  const ScratchFolder folder;
  const std::vector<std::string> args = {"compile", "--head-dim", "64", "--cubin",
                                         (folder.path() / "kernel.cubin").string()};
  const ToolRun table = tool(args);
  INFO(table.err);
  CHECK(table.exit == Exit::ok);
  CHECK(table.says("registers "));
  CHECK(table.says("\nspills          0 bytes stored, 0 loaded"));
  std::ifstream cubin((folder.path() / "kernel.cubin").string());
  char magic[4] = {};
  cubin.read(magic, sizeof magic);
  CHECK(std::string(magic, 4) ==
        "\x7f"
        "ELF");

  std::vector<std::string> as_json = args;
  as_json.push_back("--json");
  const llvm::json::Object json = parsed(tool(as_json).out);
  const llvm::json::Array& kernels = *json.getArray("kernels");
  REQUIRE(kernels.size() == 1);
  const llvm::json::Object& kernel = *kernels.front().getAsObject();
  CHECK(*kernel.getString("entry") == "streamattn_forward");
  CHECK(*kernel.getInteger("registers") > 0);
  CHECK(*kernel.getInteger("dynamic_smem_bytes") > 0);
  CHECK(kernel.getString("key")->size() == 52);

  const ToolRun unwritable =
      tool({"compile", "--cubin", (folder.path() / "no/such/folder.cubin").string()});
  CHECK(unwritable.exit == Exit::usage);
  CHECK(unwritable.complains("cannot write "));
}

}  // namespace
}  // namespace streamattn
