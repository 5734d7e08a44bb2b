// The operations that move rows, append and merge, in the command.
#include <string>
#include <vector>

#include "tests/support/tool_run.h"

namespace streamattn {
namespace {

TEST_CASE("run appends to caches of any layout, checks every row and says how many bytes moved") {
  const ToolRun ran =
      tool({"run",        "--op",        "append", "--target",     "cpu", "--heads",
            "4",          "--kv-heads",  "2",      "--head-dim",   "32",  "--lengths",
            "40,7,0",     "--q-lengths", "5,7,0",  "--paged",      "16",  "--rope",
            "split_half", "--rope-dim",  "16",     "--rope-tables"});
  CHECK(ran.exit == Exit::ok);
  CHECK(ran.says("checked  all of 96 rows, copied columns bit by bit"));
  CHECK(ran.says(" of what rounding allows turned columns"));
  CHECK(ran.says(" GB/s"));
  CHECK(ran.says("cpu_append"));
  const ToolRun json = tool({"run", "--op", "append", "--target", "cpu", "--seq", "9", "--rope",
                             "interleaved", "--rope-theta", "500", "--rope-factor", "4", "--json"});
  CHECK(parsed(json.out).getBoolean("ok") == true);
  CHECK(parsed(json.out).getObject("timing")->getNumber("gb_per_second"));
}

TEST_CASE("run merges shares and checks every row") {
  const ToolRun ran = tool({"run", "--op", "merge", "--target", "cpu", "--seq", "9", "--heads", "2",
                            "--shares", "5", "--out-dtype", "f32"});
  CHECK(ran.exit == Exit::ok);
  CHECK(ran.says("checked  all of 18 rows against float64"));
  CHECK(ran.says(" GB/s"));
  const ToolRun json = tool({"run", "--op", "merge", "--target", "cpu", "--seq", "9", "--json"});
  CHECK(parsed(json.out).getNumber("lse_error_over_allowed"));
}

TEST_CASE("flags of appends and merges need these") {
  const auto complains = [](const std::vector<std::string>& flags, const char* text) {
    for (const char* command : {"run", "bench"}) {
      std::vector<std::string> line = {command, "--target", "cpu", "--seq", "7"};
      line.insert(line.end(), flags.begin(), flags.end());
      const ToolRun ran = tool(line);
      CHECK(ran.exit == Exit::usage);
      CHECK(ran.complains(text));
    }
  };
  complains({"--rope", "split_half"}, "--rope and its like need --op append");
  complains({"--op", "merge", "--rope-tables"}, "--rope and its like need --op append");
  complains({"--op", "append", "--rope-dim", "8"}, "--rope-factor and --rope-tables need --rope");
  complains({"--op", "append", "--shares", "3"}, "--shares needs --op merge");
  complains({"--op", "merge", "--shares", "1"}, "--shares is 1, needs 2 or more");
  complains({"--op", "append", "--rope", "neox"},
            "--rope: unknown rope style \"neox\", known: none");
}

TEST_CASE("flags that appends and merges have no use for are refused") {
  const auto complaint = [](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"run", "--target", "cpu", "--seq", "7"});
    const ToolRun ran = tool(flags);
    CHECK(ran.exit == Exit::usage);
    return ran.err;
  };
  const std::vector<std::vector<std::string>> of_masks = {
      {"--causal"},        {"--mask", "k == q"}, {"--score", "score / 2"},
      {"--sink", "0.5"},   {"--scale", "2"},     {"--dropout", "0.1"},
      {"--q-offset", "3"}, {"--q-rows", "1:2"},  {"--kv-rows", "1:2"}};
  for (const char* operation : {"append", "merge"})
    for (std::vector<std::string> flags : of_masks) {
      const std::string flag = flags.front();
      flags.insert(flags.end(), {"--op", operation});
      CHECK_THAT(complaint(flags),
                 contains_text(flag) &&
                     contains_text(std::string(": --op ") + operation + " has no use for it"));
    }
  CHECK_THAT(complaint({"--op", "merge", "--k-offset", "1"}), contains_text("--k-offset: --op"));
  for (const char* flag : {"--packed", "--lengths=3,4", "--paged=4"})
    CHECK_THAT(complaint({"--op", "merge", flag}), contains_text("or --paged: --op merge"));
  const ToolRun bench = tool({"bench", "--target", "cpu", "--op", "append", "--causal"});
  CHECK(bench.exit == Exit::usage);
  CHECK(bench.complains("--mask or --causal: --op append has no use for it"));
}

TEST_CASE("explain refuses operations that read no mask") {
  const ToolRun ran = tool({"explain", "--op", "append"});
  CHECK(ran.exit == Exit::usage);
  CHECK(ran.complains("explain is about what a mask shows, which append does not read"));
}

TEST_CASE("bench counts what appends and merges move in bytes") {
  for (const char* operation : {"append", "merge"}) {
    const std::vector<std::string> line = {
        "bench", "--op", operation,  "--target", "cpu",        "--head-dim", "16",
        "--seq", "64",   "--rounds", "2",        "--round-ms", "1"};
    const ToolRun table = tool(line);
    CHECK(table.exit == Exit::ok);
    CHECK(table.says("GB/s"));
    std::vector<std::string> as_json = line;
    as_json.push_back("--json");
    const llvm::json::Object report = parsed(tool(as_json).out);
    const llvm::json::Object& row = *report.getArray("rows")->front().getAsObject();
    CHECK(row.getArray("candidates")->front().getAsObject()->getNumber("gb_per_second"));
  }
}

}  // namespace
}  // namespace streamattn
