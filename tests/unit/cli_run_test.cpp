// `streamattn run` on the CPU.
#include <fstream>

#include "tests/support/scratch.h"
#include "tests/support/tool_run.h"

namespace streamattn {
namespace {

TEST_CASE("run goes back through a problem, checks every gradient and times it") {
  const std::vector<std::string> problem = {"run",      "--op",
                                            "backward", "--target",
                                            "cpu",      "--seq",
                                            "40",       "--heads",
                                            "4",        "--kv-heads",
                                            "2",        "--causal",
                                            "--score",  "score + slope[head] * (k - q)"};
  const ToolRun ran = tool(problem);
  CHECK(ran.exit == Exit::ok);
  CHECK(ran.says("checked  160 of 160 rows of d_q, 80 of 80 of d_k and d_v against float64"));
  for (const char* gradient : {"\nd_q ", "\nd_k ", "\nd_v ", "\nslope "}) CHECK(ran.says(gradient));
  CHECK(ran.says("TFLOP/s"));
  CHECK(ran.says("cpu_backward"));

  std::vector<std::string> dropped = problem;
  dropped.insert(dropped.end(), {"--dropout", "0.1", "--seed", "7"});
  CHECK(tool(dropped).says("; dropout\n"));
  CHECK(tool(dropped).exit == Exit::ok);

  std::vector<std::string> accumulated = problem;
  accumulated.insert(accumulated.end(), {"--accumulate", "--grad-dtype", "f32", "--json"});
  const llvm::json::Object json = parsed(tool(accumulated).out);
  CHECK(json.getBoolean("ok") == true);
  CHECK(json.getObject("problem")->getString("op") == "backward");
  CHECK(json.getObject("errors")->getObject("slope"));
}

TEST_CASE("gradients that are 0 but for rounding are right") {
  for (int seed = 1; seed <= 8; seed++) {
    const ToolRun ran = tool({"run", "--op", "backward", "--target", "cpu", "--heads", "1", "--seq",
                              "1", "--score", "score + b[head]", "--seed", std::to_string(seed)});
    INFO(ran.out);
    CHECK(ran.exit == Exit::ok);
  }
}

TEST_CASE("what no memory holds is refused by what it is and how much it takes") {
  const auto complaint = [](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"run", "--target", "cpu"});
    const ToolRun ran = tool(flags);
    CHECK(ran.exit == Exit::usage);
    return ran.err;
  };
  CHECK_THAT(complaint({"--paged", "99999999999", "--lengths", "3"}),
             contains_text("a tensor of [3, 99999999999, 8, 128] bf16 elements takes 614400.0 GB "
                           "of memory, this machine has "));
  CHECK_THAT(complaint({"--op", "merge", "--shares", "100000000"}),
             contains_text("a tensor of [100000000, 1024, 8, 128] bf16 elements takes 209715.2 GB "
                           "of memory, this machine has "));
  CHECK_THAT(complaint({"--lengths", "3000000000"}),
             contains_text("rows of a sequence of k: 3000000000 are more than 32-bit lengths"));
  CHECK_THAT(complaint({"--packed", "--lengths", "2000000000,2000000000"}),
             contains_text("rows of packed sequences: 4000000000 are more than 32-bit lengths"));
  CHECK_THAT(complaint({"--paged", "1", "--lengths", "2000000000,2000000000"}),
             contains_text("pages of k: 4000000000 are more than 32-bit lengths"));
  CHECK_THAT(complaint({"--batch", "1099511627776", "--seq", "1"}),
             contains_text("a batch of 1099511627776 sequences takes 17592.2 GB of memory"));
}

TEST_CASE("flags of gradients need the backward pass") {
  for (const char* flag : {"--accumulate", "--grad-dtype=f32"}) {
    const ToolRun ran = tool({"run", "--target", "cpu", "--seq", "7", flag});
    CHECK(ran.exit == Exit::usage);
    CHECK(ran.complains("--grad-dtype and --accumulate need --op backward"));
  }
  const ToolRun ran =
      tool({"run", "--op", "backward", "--target", "cpu", "--seq", "7", "--accumulate"});
  CHECK(ran.complains("d_q: dtype is bf16, needs f32 (gradients accumulate)"));
}

TEST_CASE("run on the CPU is right for every type, layout and launch argument") {
  const std::vector<std::vector<std::string>> variants = {
      {"--dtype", "f32"},
      {"--dtype", "f16", "--out-dtype", "f32", "--causal"},
      {"--dtype", "bf16", "--layout", "bhsd", "--kv-heads", "2"},
      {"--value-head-dim", "24", "--q-len", "33", "--kv-len", "190", "--mask", "k <= q"},
      {"--causal", "--q-rows", "5:60", "--kv-rows", "3:90", "--q-offset", "7", "--k-offset", "2"},
      {"--scale", "0.5", "--dist", "outliers", "--seed", "9", "--max-sms", "1"},
      {"--causal", "--dropout", "0.3", "--seed", "5"},
      {"--q-len", "0"},
      {"--kv-len", "0"},
  };
  for (const auto& variant : variants) {
    std::vector<std::string> args = {"run",     "--target", "cpu",   "--head-dim", "40",
                                     "--heads", "4",        "--seq", "97"};
    args.insert(args.end(), variant.begin(), variant.end());
    const ToolRun outcome = tool(args);
    INFO(variant.front() << "\n" << outcome.out << outcome.err);
    CHECK(outcome.exit == Exit::ok);
    CHECK(outcome.says("\nok\n"));
    CHECK(outcome.says("cpu_tiled"));
  }
}

TEST_CASE("run as JSON has errors, timing and the kernel") {
  const ToolRun outcome = tool({"run", "--target", "cpu", "--seq", "128", "--json"});
  const llvm::json::Object json = parsed(outcome.out);
  CHECK(*json.getBoolean("ok"));
  CHECK(*json.getInteger("rows") == 8 * 128);
  CHECK(*json.getInteger("nan_rows") == 0);
  CHECK(*json.getNumber("error") > 0);
  CHECK(*json.getNumber("error") <= 2 * *json.getNumber("plain_error"));
  CHECK(*json.getObject("timing")->getNumber("milliseconds") > 0);
  CHECK(json.getString("kernel")->contains("cpu_tiled"));
  CHECK(*json.getObject("problem")->getInteger("head_dim") == 128);
}

TEST_CASE("run uses the rows of --pin and the fields of --schedule") {
  const ScratchFolder folder;
  std::ofstream((folder.path() / "pins.toml").string())
      << "[[schedule]]\ntarget = \"cpu\"\nwhen = { head_dim = 64 }\n"
         "use = { family = \"cpu_tiled\", tile_q = 16, tile_kv = 48 }\n";
  const std::vector<std::string> pinned = {
      "run",        "--target", "cpu",
      "--head-dim", "64",       "--seq",
      "50",         "--pin",    (folder.path() / "pins.toml").string()};
  const ToolRun by_row = tool(pinned);
  CHECK(by_row.says("tile_q 16, tile_kv 48"));
  CHECK(by_row.says("pins.toml"));

  std::vector<std::string> overridden = pinned;
  overridden.insert(overridden.end(), {"--schedule", "tile_kv=32"});
  const ToolRun by_hand = tool(overridden);
  CHECK(by_hand.exit == Exit::ok);
  CHECK(by_hand.says("tile_q 16, tile_kv 32"));
  CHECK(by_hand.says("given by the caller"));
}

}  // namespace
}  // namespace streamattn
