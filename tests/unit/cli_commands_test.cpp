// The `streamattn` command as a whole, on machines without a GPU: help, misuse, exit codes.
#include "runtime/gpu/driver.h"
#include "streamattn/compiler.h"
#include "streamattn/jit.h"
#include "tests/support/scratch.h"
#include "tests/support/skip.h"
#include "tests/support/tool_run.h"

namespace streamattn {
namespace {

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
    const ToolRun help = tool({command, "--help"});
    CHECK(help.exit == Exit::ok);
    CHECK(help.out.rfind("usage: streamattn " + command, 0) == 0);
  }
}

TEST_CASE("the version is one line") {
  CHECK(tool({"--version"}).out == "streamattn " + std::string(version()) + "\n");
}

TEST_CASE("misuse exits with 2 and says what is wrong") {
  const auto misused = [](const std::vector<std::string>& args, const std::string& message) {
    const ToolRun outcome = tool(args);
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

TEST_CASE("a list of GPUs is of GPUs, each once, that are there") {
  const std::vector<std::string> tune = {"tune", "--target", "sm_90a", "--out",
                                         "/nonexistent/rows"};
  const auto with = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> args = tune;
    args.insert(args.end(), flags.begin(), flags.end());
    return tool(args);
  };
  for (const char* list : {"some", "0,0", "-1", "0,", ""}) {
    const ToolRun run = with({"--gpus", list});
    CHECK(run.exit == Exit::usage);
    CHECK(run.complains("needs all, or ordinals such as 0,2,3, each once"));
  }
  CHECK(with({"--gpus", "0", "--device", "0"}).complains("--device and --gpus exclude each other"));
  CHECK(with({"--gpus", "0", "--check", "x"}).complains("exclude each other"));
  const ToolRun cpu = tool({"tune", "--target", "cpu", "--gpus", "0,1"});
  CHECK(cpu.exit == Exit::usage);
  CHECK(cpu.complains("--gpus is for GPUs, the target is cpu"));
  if (try_driver()) SKIP_TEST("this machine has a GPU");
  CHECK(with({"--gpus", "all"}).exit == Exit::environment);
}

TEST_CASE(
    "the operation is a flag of every command that computes, and forward unless it is given") {
  for (const char* command : {"run", "emit", "explain", "compile", "bench"})
    CHECK(tool({command, "--help"}).says("  --op forward|backward|append|merge "));
  const ToolRun given = tool({"emit", "--op", "forward"});
  CHECK(given.exit == Exit::ok);
  CHECK(given.out == tool({"emit"}).out);
  const ToolRun ran = tool({"run", "--op=forward", "--target", "cpu", "--seq", "7", "--json"});
  CHECK(parsed(ran.out).getObject("problem")->getString("op") == "forward");
}

TEST_CASE("a problem that nobody serves exits with 3 and lists every family's reason") {
  const ToolRun outcome = tool({"emit", "--dtype", "f32"});
  CHECK(outcome.exit == Exit::unsupported);
  CHECK(outcome.complains("unsupported_problem"));
  CHECK(outcome.complains("flash_wgmma: "));
  CHECK(outcome.complains("cpu_tiled: "));
}

TEST_CASE("a target that this machine has no device for exits with 4") {
  if (try_driver()) SKIP_TEST("this machine has a GPU");
  const ToolRun outcome = tool({"run", "--target", "sm_90a"});
  CHECK(outcome.exit == Exit::environment);
  CHECK(outcome.complains("no_driver"));
}

TEST_CASE("doctor names the GPU, NVRTC, the cache and the CPU, and exits with 4 without a GPU") {
  const ToolRun outcome = tool({"doctor"});
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

TEST_CASE("doctor warns of a variable that nothing reads") {
  const LogRecorder log;
  const ScopedVariable misspelt("STREAMATTN_CACHE_FOLDER", "/tmp");
  tool({"doctor"});
  REQUIRE(log.lines.size() == 1);
  CHECK(log.lines[0].starts_with("nothing reads the variable STREAMATTN_CACHE_FOLDER"));
}

TEST_CASE("doctor as JSON says the same") {
  const ToolRun outcome = tool({"doctor", "--json"});
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
  const ToolRun manual = tool({"manual"});
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
    const ToolRun script = tool({"completion", shell});
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
