// Scalars and tensors that expressions name, as flags of the command.
#include "tests/support/tool_run.h"

namespace streamattn {
namespace {

TEST_CASE("masks, scores and sinks name scalars and tensors that flags give") {
  const std::vector<std::string> command = {
      "run",
      "--target",
      "cpu",
      "--seq",
      "90",
      "--heads",
      "4",
      "--kv-heads",
      "2",
      "--head-dim",
      "16",
      "--mask",
      "k <= q && k > q - window && id[batch, q] == id[batch, k]",
      "--score",
      "cap * tanh((score + slope[head] * (k - q)) / cap)",
      "--sink",
      "logit[head]",
      "--set",
      "window=40",
      "--set=cap=2.5",
      "--tensor",
      "slope=slopes",
      "--tensor",
      "id = documents:25"};
  const ToolRun text = tool(command);
  INFO(text.err);
  CHECK(text.exit == Exit::ok);
  CHECK(text.says("names    window = 40, cap = 2.5, slope = slopes, id = documents:25\n"));
  CHECK(text.says("; sink: logit[head]\n"));

  std::vector<std::string> with_json = command;
  with_json.push_back("--json");
  const auto json = parsed(tool(with_json).out);
  CHECK(json.getBoolean("ok") == true);
  const auto& problem = *json.getObject("problem");
  CHECK(problem.getString("sink") == "logit[head]");
  CHECK(problem.getString("score") == "cap * tanh((score + slope[head] * (k - q)) / cap)");
  CHECK(problem.getObject("scalars")->getNumber("window") == 40.0);
  CHECK(problem.getObject("tensors")->getString("id") == "documents:25");

  const auto plain = parsed(tool({"run", "--target", "cpu", "--seq", "7", "--json"}).out);
  CHECK(plain.getObject("problem")->get("sink")->kind() == llvm::json::Value::Null);
  CHECK(plain.getObject("problem")->getObject("scalars") == nullptr);
}

TEST_CASE("a benchmark is over masks and scores, each with the names that it has") {
  const ToolRun outcome = tool({"bench",
                                "--target",
                                "cpu",
                                "--seq",
                                "16",
                                "--heads",
                                "2",
                                "--head-dim",
                                "8",
                                "--rounds",
                                "1",
                                "--round-ms",
                                "0.1",
                                "--mask",
                                "k <= q",
                                "--mask",
                                "k > q - window",
                                "--score",
                                "score",
                                "--score",
                                "score + slope[head] * (k - q)",
                                "--sink",
                                "0.5",
                                "--set",
                                "window=4",
                                "--tensor",
                                "slope=slopes",
                                "--json"});
  INFO(outcome.err);
  REQUIRE(outcome.exit == Exit::ok);
  const auto json = parsed(outcome.out);
  const auto& rows = *json.getArray("rows");
  REQUIRE(rows.size() == 4);
  const auto& last = *rows[3].getAsObject();
  CHECK(last.getString("mask") == "k > q - window");
  CHECK(last.getString("score") == "score + slope[head] * (k - q)");
  CHECK(last.getString("sink") == "0.5");
  // Row i hides all but 3 of the keys before it: 1 + 2 + ... + 12.
  CHECK(last.getNumber("flops") == 4.0 * 2 * 8 * (16 * 16 - 78));
  CHECK(rows[0].getAsObject()->getObject("scalars") == nullptr);
}

TEST_CASE("numbers that a kind of tensor has no use for are refused with the flag") {
  const auto complaint = [](const std::string& kind) {
    const ToolRun ran = tool({"run", "--target", "cpu", "--seq", "7", "--score", "score + l[k]",
                              "--tensor", "l=" + kind});
    CHECK(ran.exit == Exit::usage);
    return ran.err;
  };
  CHECK_THAT(complaint("random:nan"), contains_text("--tensor l: random: the number is nan"));
  CHECK_THAT(complaint("lengths:-5"), contains_text("--tensor l: lengths: the number is -5"));
  CHECK_THAT(complaint("bits:2"), contains_text("--tensor l: bits: the number is 2"));
  CHECK_THAT(complaint("slopes:1"), contains_text("--tensor l: slopes takes no number"));
  CHECK_THAT(complaint("zeros:5"), contains_text("--tensor l is \"zeros:5\", needs zeros, or"));
}

TEST_CASE("names that do not fit are refused with the flag that is wrong") {
  struct Case {
    std::vector<std::string> flags;
    const char* complaint;
  };
  const Case cases[] = {
      {{"--mask", "k > q - window"},
       "--set window=X is missing: the problem names the i32 scalar \"window\""},
      {{"--set", "windw=3", "--mask", "k > q - window"},
       "--set windw: nothing in the problem is called that, did you mean \"window\"?"},
      {{"--set", "window"}, "--set is \"window\", needs a name and a number, as window=512"},
      {{"--set", "=5"}, "--set is \"=5\", needs a name and a number, as window=512"},
      {{"--set", "window=wide"}, "--set window is \"wide\", needs a number"},
      {{"--set", "window=1", "--set", "window=2"}, "--set window is given twice"},
      {{"--set", "id=1", "--mask", "id[k] == 0"}, "--set id: that is given by --tensor"},
      {{"--set", "n=1"}, "--set n: nothing in the problem is called that"},
      {{"--tensor", "id"}, "--tensor is \"id\", needs a name and a kind, as slope=slopes"},
      {{"--tensor", "id=papers"}, "--tensor id: unknown kind of input \"papers\", known: random, "},
      {{"--tensor", "id=bits:half"}, "--tensor id is \"half\", needs a number"},
      {{"--tensor", "id=bits", "--tensor", "id=zeros"}, "--tensor id is given twice"},
      {{"--tensor", "n=bits", "--mask", "k < n", "--set", "n=1"},
       "--tensor n: that is given by --set"},
      {{"--set", "n=0", "--mask", "k // n == 0"},
       "scalar \"n\": is 0, must be positive (it divides)"},
      {{"--set", "n=0.5", "--mask", "k < n"}, "scalar \"n\": is 0.50, needs a whole number"},
      {{"--score", "k <= q"}, "score: a score is a number, this is a condition"},
      {{"--sink", "score"}, "sink \"score\" depends on score"},
      {{"--mask", "id[q * 1000000, k] == 0", "--seq", "100000"},
       "tensor \"id\": its indices reach more than 2^31 elements"},
  };
  for (const Case& c : cases) {
    std::vector<std::string> args = {"run", "--target", "cpu"};
    args.insert(args.end(), c.flags.begin(), c.flags.end());
    const ToolRun outcome = tool(args);
    INFO(outcome.err);
    CHECK(outcome.exit == Exit::usage);
    CHECK(outcome.complains(c.complaint));
  }
}

}  // namespace
}  // namespace streamattn
