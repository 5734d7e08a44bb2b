// `streamattn run --emulate`.
#include <llvm/Support/JSON.h>

#include "tests/support/catch.h"
#include "tests/support/scratch.h"
#include "tests/support/tool_run.h"

using namespace streamattn;

namespace {

ToolRun run(std::vector<std::string> flags) {
  flags.insert(flags.begin(), {"run", "--emulate", "--heads", "2", "--seq", "100"});
  return tool(flags);
}

}  // namespace

TEST_CASE("the command emulates a kernel, checks it and shows no time") {
  const ToolRun outcome = run({"--head-dim", "64", "--causal"});
  CHECK(outcome.exit == Exit::ok);
  CHECK_THAT(outcome.out, contains_text("device   emulated\n"));
  CHECK_THAT(outcome.out, contains_text("checked  200 of 200 rows against float64\n"));
  CHECK_THAT(outcome.out, contains_text("flash_wgmma: tile_q"));
  CHECK_THAT(outcome.out, !contains_text("ms median"));
}

TEST_CASE("the command splits the keys of few queries of packed sequences") {
  const ToolRun outcome =
      tool({"run", "--emulate", "--head-dim", "16", "--heads", "2", "--kv-heads", "1", "--causal",
            "--packed", "--lengths", "1100,3,700", "--q-lengths", "40,3,17"});
  CHECK(outcome.exit == Exit::ok);
  CHECK_THAT(outcome.out, contains_text("split_keys true"));
  CHECK_THAT(outcome.out, contains_text("checked  120 of 120 rows against float64"));
}

TEST_CASE("terms that are larger than the LSE may round it") {
  const ToolRun outcome = tool({"run",        "--emulate",
                                "--seed",     "497259",
                                "--dtype",    "f16",
                                "--head-dim", "64",
                                "--heads",    "24",
                                "--kv-heads", "2",
                                "--q-len",    "129",
                                "--kv-len",   "63",
                                "--batch",    "2",
                                "--mask",     "abs(q - k) < 3",
                                "--score",    "score + slope[head] * (k - q)"});
  INFO(outcome.out);
  CHECK(outcome.exit == Exit::ok);
}

TEST_CASE("the command takes schedules, seeds and launch flags to the emulator") {
  const ToolRun outcome = run({"--head-dim", "64", "--schedule", "tile_kv=48", "--seed", "5",
                               "--q-rows", "10:70", "--layout", "bhsd", "--json"});
  CHECK(outcome.exit == Exit::ok);
  auto json = llvm::json::parse(outcome.out);
  REQUIRE(static_cast<bool>(json));
  CHECK(json->getAsObject()->getBoolean("ok") == true);
  CHECK(json->getAsObject()->getInteger("rows") == 120);
  CHECK(json->getAsObject()->get("timing") == nullptr);
  CHECK_THAT(json->getAsObject()->getString("kernel")->str(), contains_text("tile_kv 48"));
}

TEST_CASE("the command writes a timeline") {
  const ScratchFolder scratch;
  const auto file = scratch.path() / "timeline.json";
  CHECK(run({"--head-dim", "64", "--trace", file}).exit == Exit::ok);
  auto json = llvm::json::parse(read_file(file));
  REQUIRE(static_cast<bool>(json));
  CHECK(json->getAsObject()->getArray("traceEvents")->size() > 100);
}

TEST_CASE("misuse of emulation is explained") {
  const ToolRun unwritable = run({"--head-dim", "64", "--trace", "/nonexistent/timeline.json"});
  CHECK(unwritable.exit == Exit::usage);
  CHECK_THAT(unwritable.err, contains_text("cannot write the trace to /nonexistent/timeline.json"));
  CHECK_THAT(run({"--target", "cpu"}).err, contains_text("has no source"));
  std::string out_text, err_text;
  llvm::raw_string_ostream out(out_text), err(err_text);
  CHECK(run_tool({std::string("run"), std::string("--trace"), std::string("x")}, out, err) ==
        Exit::usage);
  CHECK_THAT(err_text, contains_text("--trace needs --emulate"));
}
