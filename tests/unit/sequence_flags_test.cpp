// The flags of batches whose sequences differ.
#include <string>
#include <vector>

#include "tests/support/tool_run.h"

namespace streamattn {
namespace {

/// `streamattn run` on the CPU with a small problem.
ToolRun run(std::vector<std::string> flags) {
  std::vector<std::string> args = {"run", "--target",   "cpu", "--dtype",    "f32", "--heads",
                                   "4",   "--kv-heads", "2",   "--head-dim", "16",  "--causal"};
  args.insert(args.end(), flags.begin(), flags.end());
  return tool(args);
}

/// The problem of a run that is right, as it says itself.
llvm::json::Object problem_of(std::vector<std::string> flags) {
  flags.emplace_back("--json");
  const ToolRun outcome = run(flags);
  INFO(outcome.err);
  REQUIRE(outcome.exit == Exit::ok);
  return std::move(*parsed(outcome.out).getObject("problem"));
}

}  // namespace

TEST_CASE("lengths are a batch of as many sequences with one query each") {
  const llvm::json::Object problem = problem_of({"--lengths", "1,17,300"});
  CHECK(problem.getInteger("batch") == 3);
  CHECK(problem.getInteger("q_len") == 1);
  CHECK(problem.getInteger("kv_len") == 300);
  CHECK(problem.getBoolean("kv_lens") == true);
  CHECK(problem.getString("kv_layout") == llvm::StringRef("dense"));
  CHECK(problem.getArray("lengths")->size() == 3);
}

TEST_CASE("keys lie in pages and queries one behind the other where flags say so") {
  const llvm::json::Object problem =
      problem_of({"--lengths", "1,17,300", "--paged", "7", "--packed", "--q-lengths", "1,0,5"});
  CHECK(problem.getString("kv_layout") == llvm::StringRef("paged"));
  CHECK(problem.getString("q_layout") == llvm::StringRef("packed"));
  CHECK(problem.getInteger("page_size") == 7);
  CHECK(problem.getInteger("q_len") == 5);
  const llvm::json::Object packed = problem_of({"--packed", "--lengths", "9,30"});
  CHECK(packed.getString("kv_layout") == llvm::StringRef("packed"));
  CHECK(packed.getBoolean("kv_lens") == false);
}

TEST_CASE("flags of sequences that contradict each other are refused") {
  CHECK(run({"--lengths", "1,2", "--batch", "3"})
            .err.find("--lengths gives 2 lengths, needs 3 (--batch)") != std::string::npos);
  CHECK(run({"--lengths", "1,2", "--q-lengths", "1"})
            .err.find("--q-lengths gives 1 lengths, needs 2 (the batch)") != std::string::npos);
  CHECK(run({"--lengths", "-4"}).err.find("--lengths: -4 is below 0") != std::string::npos);
  CHECK(run({"--lengths", "4", "--paged", "0"}).err.find("--paged is 0, needs 1 or more") !=
        std::string::npos);
}

}  // namespace streamattn
