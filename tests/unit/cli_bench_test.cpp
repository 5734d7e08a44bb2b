// `streamattn bench` on the CPU.
#include <algorithm>

#include "tests/support/tool_run.h"

namespace streamattn {
namespace {

TEST_CASE("bench times the backward pass, which counts 2.5 times the operations of forward") {
  const auto count = [](const char* operation) {
    const ToolRun ran = tool({"bench", "--op", operation, "--target", "cpu", "--head-dim", "16",
                              "--seq", "64", "--rounds", "2", "--round-ms", "1", "--json"});
    CHECK(ran.exit == Exit::ok);
    const llvm::json::Object report = parsed(ran.out);
    const llvm::json::Object& row = *report.getArray("rows")->front().getAsObject();
    CHECK(row.getString("op") == operation);
    CHECK(row.getArray("candidates")->front().getAsObject()->getNumber("milliseconds"));
    return *row.getNumber("flops");
  };
  CHECK(count("backward") == 2.5 * count("forward"));
}

TEST_CASE("bench times kernels that drop weights") {
  const ToolRun ran = tool({"bench", "--target", "cpu", "--head-dim", "16", "--seq", "64",
                            "--dropout", "0.1", "--rounds", "2", "--round-ms", "1", "--json"});
  CHECK(ran.exit == Exit::ok);
  const llvm::json::Object report = parsed(ran.out);
  CHECK(report.getArray("rows")->front().getAsObject()->getBoolean("dropout") == true);
  const ToolRun wrong = tool({"run", "--target", "cpu", "--seq", "64", "--dropout", "1.5"});
  CHECK(wrong.exit == Exit::usage);
  CHECK(wrong.complains("dropout: rate is 1.5000, must be at least 0 and less than 1"));
}

TEST_CASE("bench times sequences one behind the other, and keys in pages") {
  const auto row_with = [](std::vector<std::string> more) {
    std::vector<std::string> args = {"bench", "--target",   "cpu",     "--head-dim", "16",
                                     "--seq", "64",         "--batch", "3",          "--rounds",
                                     "1",     "--round-ms", "1",       "--json"};
    args.insert(args.end(), more.begin(), more.end());
    const ToolRun ran = tool(args);
    CHECK(ran.exit == Exit::ok);
    return std::move(*parsed(ran.out).getArray("rows")->front().getAsObject());
  };
  const llvm::json::Object packed = row_with({"--packed"});
  CHECK(packed.getString("q_layout") == "packed");
  CHECK(packed.getString("kv_layout") == "packed");
  CHECK(packed.getNumber("flops") == row_with({}).getNumber("flops"));
  const llvm::json::Object paged = row_with({"--packed", "--paged", "24"});
  CHECK(paged.getString("q_layout") == "packed");
  CHECK(paged.getString("kv_layout") == "paged");
  CHECK(paged.getInteger("page_size") == 24);
  CHECK(paged.getNumber("flops") == packed.getNumber("flops"));
  const ToolRun wrong = tool({"bench", "--target", "cpu", "--paged", "0"});
  CHECK(wrong.exit == Exit::usage);
  CHECK(wrong.complains("--paged is 0, needs 1 or more"));
}

TEST_CASE("bench on the CPU compares schedules and prints JSON, CSV and a table") {
  const std::vector<std::string> args = {
      "bench", "--target",   "cpu", "--head-dim", "32,64",     "--seq",
      "40,80", "--heads",    "2",   "--rounds",   "3",         "--round-ms",
      "1",     "--schedule", "",    "--schedule", "tile_kv=64"};
  const auto with = [&](const std::string& flag) {
    std::vector<std::string> all = args;
    all.push_back(flag);
    return tool(all);
  };
  const ToolRun outcome = with("--json");
  CHECK(outcome.exit == Exit::ok);
  const llvm::json::Object json = parsed(outcome.out);
  const llvm::json::Array& rows = *json.getArray("rows");
  REQUIRE(rows.size() == 4);
  for (const llvm::json::Value& row : rows) {
    const llvm::json::Array& candidates = *row.getAsObject()->getArray("candidates");
    REQUIRE(candidates.size() == 2);
    for (const llvm::json::Value& candidate : candidates) {
      CHECK(*candidate.getAsObject()->getNumber("tflops") > 0);
      CHECK(candidate.getAsObject()->getArray("rounds")->size() == 3);
    }
    CHECK(candidates[1].getAsObject()->getString("schedule")->contains("tile_kv 64"));
  }

  const ToolRun csv = with("--csv");
  CHECK(std::ranges::count(csv.out, '\n') == 1 + 8);
  CHECK(csv.out.rfind("head_dim,mask,", 0) == 0);
  CHECK(tool(args).says("tile_kv=64"));
}

TEST_CASE("bench takes --causal for the causal mask") {
  const std::vector<std::string> args = {"bench", "--target", "cpu", "--head-dim", "16",  "--seq",
                                         "32",    "--rounds", "1",   "--round-ms", "0.1", "--json"};
  const auto row_with = [&](const std::vector<std::string>& mask) {
    std::vector<std::string> all = args;
    all.insert(all.end(), mask.begin(), mask.end());
    const ToolRun ran = tool(all);
    CHECK(ran.exit == Exit::ok);
    return std::move(*parsed(ran.out).getArray("rows")->front().getAsObject());
  };
  const llvm::json::Object causal_row = row_with({"--causal"});
  CHECK(causal_row.getString("mask") == "k <= q");
  CHECK(causal_row.getNumber("flops") == row_with({"--mask", "k <= q"}).getNumber("flops"));
  const ToolRun both = tool({"bench", "--causal", "--mask", "true"});
  CHECK(both.exit == Exit::usage);
  CHECK(both.complains("--mask and --causal exclude each other"));
}

TEST_CASE("bench times in the way that it is told, where the device can") {
  const auto run = [](const char* flag, const char* value) {
    return tool({"bench", "--target", "cpu", "--head-dim", "16", "--seq", "16", "--rounds", "1",
                 "--round-ms", "0.1", flag, value});
  };
  CHECK_THAT(run("--l2", "warm").out, contains_text("; warm L2, eager launches; median over"));
  CHECK(run("--launch", "eager").exit == Exit::ok);
  const std::pair<const char*, const char*> refused[] = {{"--l2", "cold"}, {"--launch", "graph"}};
  for (const auto& [flag, value] : refused) CHECK(run(flag, value).exit == Exit::usage);
  CHECK(
      run("--l2", "tepid").complains("--l2: unknown state of the L2 \"tepid\", known: cold, warm"));
  CHECK(run("--launch", "grap")
            .complains("--launch: unknown way to launch \"grap\", did you mean \"graph\"?"));
  CHECK(tool({"bench", "--preset", "streaming", "--l2", "warm"}).complains("exclude each other"));
}

TEST_CASE("bench reports a schedule that is illegal and times the others") {
  const ToolRun outcome =
      tool({"bench", "--target", "cpu", "--head-dim", "32", "--seq", "16", "--rounds", "1",
            "--round-ms", "1", "--schedule", "tile_kv=0", "--schedule", "tile_kv=32"});
  INFO(outcome.out << outcome.err);
  CHECK(outcome.exit == Exit::ok);
  CHECK(outcome.says("not timed: tile_kv=0: cpu_tiled: "));
}

}  // namespace
}  // namespace streamattn
