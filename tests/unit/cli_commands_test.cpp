// The `streamattn` command from arguments to exit code, on machines without a GPU.
#include <llvm/Support/JSON.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "runtime/gpu/driver.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"
#include "streamattn/jit.h"
#include "tests/support/catch.h"
#include "tests/support/skip.h"
#include "tools/tool.h"

namespace streamattn {
namespace {

struct Outcome {
  Exit exit;
  std::string out, err;

  bool says(const std::string& text) const { return out.find(text) != std::string::npos; }
  bool complains(const std::string& text) const { return err.find(text) != std::string::npos; }
};

Outcome tool(const std::vector<std::string>& args) {
  Outcome outcome{};
  llvm::raw_string_ostream out(outcome.out), err(outcome.err);
  outcome.exit = run_tool(args, out, err);
  return outcome;
}

llvm::json::Object parsed(const std::string& text) {
  auto value = llvm::json::parse(text);
  if (!value) FAIL(llvm::toString(value.takeError()));
  REQUIRE(value->getAsObject());
  return std::move(*value->getAsObject());
}

/// A folder that is removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder()
      : path_(std::filesystem::temp_directory_path() /
              ("streamattn-cli-" + std::to_string(std::random_device()()))) {
    std::filesystem::create_directory(path_);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

TEST_CASE("the command without arguments shows its help and counts as misused") {
  CHECK(tool({}).exit == Exit::usage);
  CHECK(tool({}).out == tool({"--help"}).out);
  CHECK(tool({"--help"}).exit == Exit::ok);
}

TEST_CASE("every command is in the help and has help of its own") {
  for (const std::string command : {"run", "emit", "explain", "compile", "bench", "tune", "doctor",
                                    "cache", "completion", "manual"}) {
    INFO(command);
    CHECK(tool({"--help"}).says("\n  " + command + " "));
    const Outcome help = tool({command, "--help"});
    CHECK(help.exit == Exit::ok);
    CHECK(help.out.rfind("usage: streamattn " + command, 0) == 0);
  }
}

TEST_CASE("the version is one line") {
  CHECK(tool({"--version"}).out == "streamattn " + std::string(version()) + "\n");
}

TEST_CASE("misuse exits with 2 and says what is wrong") {
  const auto misused = [](const std::vector<std::string>& args, const std::string& message) {
    const Outcome outcome = tool(args);
    INFO(outcome.err);
    CHECK(outcome.exit == Exit::usage);
    CHECK(outcome.out.empty());
    CHECK(outcome.complains(message));
  };
  misused({"rum"}, "streamattn: invalid_config: unknown command \"rum\", did you mean \"run\"?");
  misused({"run", "--head-dmi", "64"}, "unknown flag \"head-dmi\", did you mean \"head-dim\"?");
  misused({"run", "--heads", "5", "--kv-heads", "2"}, "--heads 5 is no multiple of --kv-heads 2");
  misused({"run", "--batch", "-1"}, "batch and lengths must be >= 0");
  misused({"run", "--dist", "uniform"}, "--dist is \"uniform\", needs normal or outliers");
  misused({"run", "--mask", "k <= "}, "^");
  misused({"run", "--head-dim", "0"}, "invalid_problem");
  misused({"run", "--pin", "/nonexistent.toml"}, "/nonexistent.toml");
  misused({"run", "--target", "cpu", "--q-rows", "0:9999"}, "invalid_argument");
  misused({"run", "--target", "cpu", "--schedule", "tile_kv=64", "--schedule", "tile_kv=32"},
          "--schedule is given 2 times, needs once: only bench compares schedules");
  misused({"emit", "--target", "sm_12"}, "sm_90a");
  misused({"emit", "--schedule", "tile_kw=64"}, "did you mean \"tile_kv\"?");
  misused({"emit", "--schedule", "stages=100"}, "invalid_schedule");
  for (const char* command : {"run", "emit", "explain", "compile", "bench"})
    misused({command, "--op", "sideways"},
            "invalid_config: --op: unknown operation \"sideways\", known: forward, backward, "
            "append, merge");
  misused({"bench", "--rounds", "0"}, "--rounds must be >= 1");
  misused({"cache", "frobnicate"}, "frobnicate");
  misused({"completion"}, "completion needs an action: bash, zsh, fish");
  misused({"run", "--mask", "true", "--causal"}, "--mask and --causal exclude each other");
  misused({"run", "--heads", "4294967297", "--kv-heads", "1"}, "--heads 4294967297 is more than");
  misused({"run", "--head-dim", "4294967297"}, "needs an integer in -2147483648..2147483647");
  misused({"bench", "--json", "--csv"}, "--json and --csv exclude each other");
  misused({"bench", "--tokens", "64", "--batch", "2"}, "--batch and --tokens exclude each other");
  misused({"bench", "--hidden", "64", "--heads", "2"}, "--heads and --hidden exclude each other");
  misused({"bench", "--heads", "4294967297", "--kv-heads", "1"}, "--heads 4294967297 is more than");
}

TEST_CASE(
    "the operation is a flag of every command that computes, and forward unless it is given") {
  for (const char* command : {"run", "emit", "explain", "compile", "bench"})
    CHECK(tool({command, "--help"}).says("  --op forward|backward|append|merge "));
  const Outcome given = tool({"emit", "--op", "forward"});
  CHECK(given.exit == Exit::ok);
  CHECK(given.out == tool({"emit"}).out);
  const Outcome ran = tool({"run", "--op=forward", "--target", "cpu", "--seq", "7", "--json"});
  CHECK(parsed(ran.out).getObject("problem")->getString("op") == "forward");
}

TEST_CASE("run goes back through a problem, checks every gradient and times it") {
  const std::vector<std::string> problem = {"run",      "--op",
                                            "backward", "--target",
                                            "cpu",      "--seq",
                                            "40",       "--heads",
                                            "4",        "--kv-heads",
                                            "2",        "--causal",
                                            "--score",  "score + slope[head] * (k - q)"};
  const Outcome ran = tool(problem);
  CHECK(ran.exit == Exit::ok);
  CHECK(ran.says("checked  160 of 160 rows of d_q, 80 of 80 of d_k and d_v against float64"));
  for (const char* gradient : {"\nd_q ", "\nd_k ", "\nd_v ", "\nslope "}) CHECK(ran.says(gradient));
  CHECK(ran.says("TFLOP/s"));
  CHECK(ran.says("cpu_backward"));

  std::vector<std::string> accumulated = problem;
  accumulated.insert(accumulated.end(), {"--accumulate", "--grad-dtype", "f32", "--json"});
  const llvm::json::Object json = parsed(tool(accumulated).out);
  CHECK(json.getBoolean("ok") == true);
  CHECK(json.getObject("problem")->getString("op") == "backward");
  CHECK(json.getObject("errors")->getObject("slope"));
}

TEST_CASE("flags of gradients need the backward pass") {
  for (const char* flag : {"--accumulate", "--grad-dtype=f32"}) {
    const Outcome ran = tool({"run", "--target", "cpu", "--seq", "7", flag});
    CHECK(ran.exit == Exit::usage);
    CHECK(ran.complains("--grad-dtype and --accumulate need --op backward"));
  }
  const Outcome ran =
      tool({"run", "--op", "backward", "--target", "cpu", "--seq", "7", "--accumulate"});
  CHECK(ran.complains("d_q: dtype is bf16, needs f32 (gradients accumulate)"));
}

TEST_CASE("run appends to caches of any layout, checks every row and says how many bytes moved") {
  const Outcome ran =
      tool({"run",        "--op",        "append", "--target",     "cpu", "--heads",
            "4",          "--kv-heads",  "2",      "--head-dim",   "32",  "--lengths",
            "40,7,0",     "--q-lengths", "5,7,0",  "--paged",      "16",  "--rope",
            "split_half", "--rope-dim",  "16",     "--rope-tables"});
  CHECK(ran.exit == Exit::ok);
  CHECK(ran.says("checked  all of 96 rows, copied columns bit by bit"));
  CHECK(ran.says(" of what rounding allows turned columns"));
  CHECK(ran.says(" GB/s"));
  CHECK(ran.says("cpu_append"));
  const Outcome json = tool({"run", "--op", "append", "--target", "cpu", "--seq", "9", "--rope",
                             "interleaved", "--rope-theta", "500", "--rope-factor", "4", "--json"});
  CHECK(parsed(json.out).getBoolean("ok") == true);
  CHECK(parsed(json.out).getObject("timing")->getNumber("gb_per_second"));
}

TEST_CASE("run merges shares and checks every row") {
  const Outcome ran = tool({"run", "--op", "merge", "--target", "cpu", "--seq", "9", "--heads", "2",
                            "--shares", "5", "--out-dtype", "f32"});
  CHECK(ran.exit == Exit::ok);
  CHECK(ran.says("checked  all of 18 rows against float64"));
  CHECK(ran.says(" GB/s"));
  const Outcome json = tool({"run", "--op", "merge", "--target", "cpu", "--seq", "9", "--json"});
  CHECK(parsed(json.out).getNumber("lse_error_over_allowed"));
}

TEST_CASE("flags of appends and merges need these") {
  const auto complains = [](const std::vector<std::string>& flags, const char* text) {
    for (const char* command : {"run", "bench"}) {
      std::vector<std::string> line = {command, "--target", "cpu", "--seq", "7"};
      line.insert(line.end(), flags.begin(), flags.end());
      const Outcome ran = tool(line);
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

TEST_CASE("explain refuses operations that read no mask") {
  const Outcome ran = tool({"explain", "--op", "append"});
  CHECK(ran.exit == Exit::usage);
  CHECK(ran.complains("explain is about what a mask shows, which append does not read"));
}

TEST_CASE("bench counts what appends and merges move in bytes") {
  for (const char* operation : {"append", "merge"}) {
    const std::vector<std::string> line = {
        "bench", "--op", operation,  "--target", "cpu",        "--head-dim", "16",
        "--seq", "64",   "--rounds", "2",        "--round-ms", "1"};
    const Outcome table = tool(line);
    CHECK(table.exit == Exit::ok);
    CHECK(table.says("GB/s"));
    std::vector<std::string> as_json = line;
    as_json.push_back("--json");
    const llvm::json::Object report = parsed(tool(as_json).out);
    const llvm::json::Object& row = *report.getArray("rows")->front().getAsObject();
    CHECK(row.getArray("candidates")->front().getAsObject()->getNumber("gb_per_second"));
  }
}

TEST_CASE("bench times the backward pass, which counts 2.5 times the operations of forward") {
  const auto count = [](const char* operation) {
    const Outcome ran = tool({"bench", "--op", operation, "--target", "cpu", "--head-dim", "16",
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
  const Outcome text = tool(command);
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
  const Outcome outcome = tool({"bench",
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
    const Outcome outcome = tool(args);
    INFO(outcome.err);
    CHECK(outcome.exit == Exit::usage);
    CHECK(outcome.complains(c.complaint));
  }
}

TEST_CASE("a problem that nobody serves exits with 3 and lists every family's reason") {
  const Outcome outcome = tool({"emit", "--dtype", "f32"});
  CHECK(outcome.exit == Exit::unsupported);
  CHECK(outcome.complains("unsupported_problem"));
  CHECK(outcome.complains("flash_wgmma: "));
  CHECK(outcome.complains("cpu_tiled: "));
}

TEST_CASE("a target that this machine has no device for exits with 4") {
  if (try_driver()) SKIP_TEST("this machine has a GPU");
  const Outcome outcome = tool({"run", "--target", "sm_90a"});
  CHECK(outcome.exit == Exit::environment);
  CHECK(outcome.complains("no_driver"));
}

TEST_CASE("run on the CPU is right for every type, layout and launch argument") {
  const std::vector<std::vector<std::string>> variants = {
      {"--dtype", "f32"},
      {"--dtype", "f16", "--out-dtype", "f32", "--causal"},
      {"--dtype", "bf16", "--layout", "bhsd", "--kv-heads", "2"},
      {"--value-head-dim", "24", "--q-len", "33", "--kv-len", "190", "--mask", "k <= q"},
      {"--causal", "--q-rows", "5:60", "--kv-rows", "3:90", "--q-offset", "7", "--k-offset", "2"},
      {"--scale", "0.5", "--dist", "outliers", "--seed", "9", "--max-sms", "1"},
      {"--q-len", "0"},
      {"--kv-len", "0"},
  };
  for (const auto& variant : variants) {
    std::vector<std::string> args = {"run",     "--target", "cpu",   "--head-dim", "40",
                                     "--heads", "4",        "--seq", "97"};
    args.insert(args.end(), variant.begin(), variant.end());
    const Outcome outcome = tool(args);
    INFO(variant.front() << "\n" << outcome.out << outcome.err);
    CHECK(outcome.exit == Exit::ok);
    CHECK(outcome.says("\nok\n"));
    CHECK(outcome.says("cpu_tiled"));
  }
}

TEST_CASE("run as JSON has errors, timing and the kernel") {
  const Outcome outcome = tool({"run", "--target", "cpu", "--seq", "128", "--json"});
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
  const TemporaryFolder folder;
  std::ofstream(folder.file("pins.toml"))
      << "[[schedule]]\ntarget = \"cpu\"\nwhen = { head_dim = 64 }\n"
         "use = { family = \"cpu_tiled\", tile_q = 16, tile_kv = 48 }\n";
  const std::vector<std::string> pinned = {"run",        "--target", "cpu",
                                           "--head-dim", "64",       "--seq",
                                           "50",         "--pin",    folder.file("pins.toml")};
  const Outcome by_row = tool(pinned);
  CHECK(by_row.says("tile_q 16, tile_kv 48"));
  CHECK(by_row.says("pins.toml"));

  std::vector<std::string> overridden = pinned;
  overridden.insert(overridden.end(), {"--schedule", "tile_kv=32"});
  const Outcome by_hand = tool(overridden);
  CHECK(by_hand.exit == Exit::ok);
  CHECK(by_hand.says("tile_q 16, tile_kv 32"));
  CHECK(by_hand.says("given by the caller"));
}

TEST_CASE("emit prints the short file, and with --flatten one that needs no other") {
  const Problem problem{.head_dim = 64, .mask = causal()};
  const Target& target = find_target("sm_90a");
  const Shape shape{.batch = 1, .kv_heads = 8, .q_len = 1024, .kv_len = 1024};
  const Source source = emit(Operation::forward, problem,
                             choose(Operation::forward, problem, shape, target).schedule, target)
                            .front();
  CHECK(tool({"emit", "--head-dim", "64", "--causal"}).out == source.text);
  const Outcome flat = tool({"emit", "--head-dim", "64", "--mask", "k <= q", "--flatten"});
  CHECK(flat.out == source.flat);
  CHECK_FALSE(flat.says("#include \""));
}

TEST_CASE("emit has nothing to print for the CPU") {
  CHECK(tool({"emit", "--target", "cpu"}).exit == Exit::unsupported);
}

TEST_CASE("compile shows the resources and writes the binary") {
  const auto candidates = find_nvrtc();
  if (std::ranges::none_of(candidates, &NvrtcCandidate::usable)) SKIP_TEST("no usable NVRTC here");
  const TemporaryFolder folder;
  const std::vector<std::string> args = {"compile", "--head-dim", "64", "--cubin",
                                         folder.file("kernel.cubin")};
  const Outcome table = tool(args);
  INFO(table.err);
  CHECK(table.exit == Exit::ok);
  CHECK(table.says("registers "));
  CHECK(table.says("\nspills          0 bytes stored, 0 loaded"));
  std::ifstream cubin(folder.file("kernel.cubin"));
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

  const Outcome unwritable = tool({"compile", "--cubin", folder.file("no/such/folder.cubin")});
  CHECK(unwritable.exit == Exit::usage);
  CHECK(unwritable.complains("cannot write "));
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
  const Outcome outcome = with("--json");
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

  const Outcome csv = with("--csv");
  CHECK(std::ranges::count(csv.out, '\n') == 1 + 8);
  CHECK(csv.out.rfind("head_dim,mask,", 0) == 0);
  CHECK(tool(args).says("tile_kv=64"));
}

TEST_CASE("bench reports a schedule that is illegal and times the others") {
  const Outcome outcome =
      tool({"bench", "--target", "cpu", "--head-dim", "32", "--seq", "16", "--rounds", "1",
            "--round-ms", "1", "--schedule", "tile_kv=0", "--schedule", "tile_kv=32"});
  INFO(outcome.out << outcome.err);
  CHECK(outcome.exit == Exit::ok);
  CHECK(outcome.says("not timed: tile_kv=0: cpu_tiled: "));
}

TEST_CASE("doctor names the GPU, NVRTC, the cache and the CPU, and exits with 4 without a GPU") {
  const Outcome outcome = tool({"doctor"});
  for (const std::string part :
       {"GPU\n", "NVRTC, ", "kernel cache\n", "CPU\n", " threads, vectors "}) {
    INFO(part);
    CHECK(outcome.says(part));
  }
  if (!try_driver()) {
    CHECK(outcome.exit == Exit::environment);
    CHECK(outcome.says("libcuda.so.1"));
  }
}

TEST_CASE("doctor as JSON says the same") {
  const Outcome outcome = tool({"doctor", "--json"});
  const llvm::json::Object json = parsed(outcome.out);
  CHECK(json.getString("version")->str() == version());
  CHECK(*json.getBoolean("ok") == (outcome.exit == Exit::ok));
  CHECK(*json.getObject("cpu")->getInteger("threads") > 0);
  const llvm::json::Array& candidates = *json.getObject("nvrtc")->getArray("candidates");
  CHECK(candidates.size() == find_nvrtc().size());
  CHECK(json.getObject("gpu")->getString("problem")->empty() == (try_driver() != nullptr));
  CHECK(json.getObject("cache")->getBoolean("ok"));
}

TEST_CASE("the manual has every command, and every flag of it") {
  const Outcome manual = tool({"manual"});
  CHECK(manual.exit == Exit::ok);
  for (const std::string part : {".TH STREAMATTN 1", "\n.SH NAME\n", ".SS streamattn run [flags]\n",
                                 ".SS streamattn cache ls ", ".SS streamattn completion zsh\n",
                                 "\\-\\-head\\-dim", "\n.SH EXIT STATUS\n"}) {
    INFO(part);
    CHECK(manual.says(part));
  }
}

TEST_CASE("completion knows the commands, the actions and their flags") {
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    INFO(shell);
    const Outcome script = tool({"completion", shell});
    CHECK(script.exit == Exit::ok);
    for (const std::string part : {"doctor", "cache verify", "head-dim", "f16 bf16 f32"}) {
      INFO(part);
      CHECK(script.says(part));
    }
    CHECK(tool({"completion", shell, "--help"}).says("usage: streamattn completion " + shell));
  }
}

}  // namespace
}  // namespace streamattn
