// Processes that build, check and time: what they answer, and what becomes of those that hang,
// crash or talk nonsense.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "autotune/build_pool.h"
#include "autotune/case_json.h"
#include "autotune/gate.h"
#include "autotune/local_device.h"
#include "autotune/outcome_json.h"
#include "autotune/worker_device.h"
#include "compiler/knobs.h"
#include "compiler/toolchain/nvrtc.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"
#include "tests/support/skip.h"

namespace streamattn {
namespace {

using namespace std::chrono_literals;

const Target& cpu = find_target("cpu");
const std::vector<std::string> real_worker = {STREAMATTN_TOOL, "tune", "worker", "--target", "cpu"};

std::vector<std::string> shell(const std::string& script) { return {"/bin/sh", "-c", script}; }

ForwardCase small_call() {
  ForwardCase call;
  call.problem = {.dtype = DType::f32, .head_dim = 32, .group_size = 2, .mask = causal()};
  call.shape = {1, 2, 50, 70};
  return call;
}

const Schedule tiles = parse_schedule("family=cpu_tiled,tile_q=32,tile_kv=64");

TEST_CASE("a call goes to a worker as JSON and comes back the same") {
  ForwardCase call = small_call();
  call.problem.out_dtype = DType::f32;
  call.problem.value_head_dim = 48;
  call.problem.mask = Expr::parse("k > q - w && doc[batch, q] == doc[batch, k]", ExprRole::mask);
  call.problem.score = Expr::parse("score + slope[head]", ExprRole::score);
  call.problem.sink = Expr::parse("s[head]", ExprRole::score);
  call.scalars = {{"w", 7}};
  call.tensors = {{"doc", InputKind::documents, 30.0}, {"slope", InputKind::slopes}};
  call.layout = Layout::bhsd, call.distribution = Distribution::outliers, call.seed = 9;
  const ForwardCase back = decode_case(encode_case(call));
  CHECK(back.describe() == call.describe());
  CHECK(back.problem == call.problem);
  llvm::json::Object json = encode_case(call);
  json.erase("q_len");
  CHECK(error_of([&] { decode_case(json); }) ==
        "invalid_argument: a call in JSON has no usable \"q_len\"");
}

TEST_CASE("a field of another kind than the problem's is refused") {
  const std::pair<const char*, llvm::json::Value> wrong[] = {
      {"dtype", 3},  {"head_dim", "wide"}, {"head_dim", -1}, {"mask", true},
      {"q_lens", 1}, {"kv_layout", false}, {"sink", 2},      {"out_dtype", llvm::json::Array()},
  };
  for (const auto& [field, value] : wrong) {
    llvm::json::Object json = encode_case(small_call());
    json[field] = value;
    CHECK(error_of([&] { decode_case(json); }) ==
          "invalid_argument: a call in JSON has no usable \"" + std::string(field) + "\"");
  }
  llvm::json::Object json = encode_case(small_call());
  json["dtype"] = "f17";
  CHECK_THAT(error_of([&] { decode_case(json); }), contains_text("unknown element type \"f17\""));
}

TEST_CASE("outcomes come back from JSON as they were") {
  BuildOutcome build{
      .registers = 168, .spill_bytes = 8, .is_serialised = true, .milliseconds = 2.5};
  build.fate = Fate::timed_out, build.reason = "late";
  BuildOutcome read;
  read_json(to_json(build), read);
  CHECK(read.fate == Fate::timed_out);
  CHECK(read.reason == "late");
  CHECK(read.registers == 168);
  CHECK(read.is_serialised);
  TimeOutcome time;
  time.milliseconds = {0.1, 1.0 / 3};
  TimeOutcome time_read;
  read_json(to_json(time), time_read);
  CHECK(time_read.milliseconds == time.milliseconds);
  CHECK_THAT(error_of([&] { read_json(llvm::json::Object{{"fate", "odd"}}, read); }),
             contains_text("unknown fate \"odd\""));
}

TEST_CASE("a worker of the command builds, checks and times on the CPU") {
  WorkerDevice device(real_worker, cpu, 1);
  CHECK_THAT(device.site().device, contains_text("CPU, "));
  std::size_t built = 0;
  device.build(small_call().problem, {tiles, tiles},
               [&](std::size_t, const BuildOutcome& outcome) { built += outcome.ok(); });
  CHECK(built == 2);
  const CheckOutcome check = device.check(small_call(), tiles);
  CHECK(check.ok());
  CHECK(check.error <= check.allowed);
  const TimeOutcome time = device.time(small_call(), tiles, 4);
  CHECK(time.milliseconds.size() == 4);
  const CheckOutcome refused = device.check(small_call(), parse_schedule("tile_q=0", tiles));
  CHECK(refused.fate == Fate::refused);
  CHECK_THAT(refused.reason, contains_text("both sides must be positive"));
}

TEST_CASE("a worker that hangs is killed, one that dies is noticed, and the next gets a new one") {
  const ScratchFolder folder;
  const std::string count = (folder.path() / "count").string();
  const auto starts = [&] {
    std::ifstream in(count);
    return std::count(std::istreambuf_iterator<char>(in), {}, '\n');
  };
  WorkerDevice hangs(shell("echo >> " + count + "; sleep 1000"), cpu, 1, {.time = 50ms});
  for (int i = 1; i <= 2; i++) {
    const TimeOutcome outcome = hangs.time(small_call(), tiles, 3);
    CHECK(outcome.fate == Fate::timed_out);
    CHECK_THAT(outcome.reason, contains_text("it did not end within 0."));
    CHECK(starts() == i);
  }
  WorkerDevice dies(shell("read line; kill -SEGV $$"), cpu, 1);
  const TimeOutcome crashed = dies.time(small_call(), tiles, 3);
  CHECK(crashed.fate == Fate::crashed);
  CHECK_THAT(crashed.reason, contains_text("it was killed by signal 11"));
  WorkerDevice babbles(shell("read line; echo hello; sleep 1000"), cpu, 1);
  CHECK(babbles.check(small_call(), tiles).fate == Fate::crashed);
  WorkerDevice missing({"/nowhere/streamattn"}, cpu, 1);
  CHECK(missing.check(small_call(), tiles).fate == Fate::crashed);
  CHECK_THAT(error_of([&] { missing.site(); }), contains_text("does not answer"));
}

TEST_CASE("a candidate that breaks the process costs that process") {
  const ScratchFolder folder;
  const std::string count = (folder.path() / "count").string();
  WorkerDevice device(
      shell("echo >> " + count + "; while read line; do echo '{\"fate\": \"crashed\"}'; done"), cpu,
      1);
  CHECK(device.check(small_call(), tiles).fate == Fate::crashed);
  CHECK(device.check(small_call(), tiles).fate == Fate::crashed);
  CHECK(read_file(count) == "\n\n");
}

TEST_CASE("builds run side by side, and one that hangs or crashes costs itself alone") {
  // Answers every request but those that say otherwise.
  const auto worker = shell(
      "while read line; do case \"$line\" in hang) sleep 1000;; crash) kill -9 $$;; "
      "*) sleep 0.1; echo '{\"fate\": \"ok\", \"registers\": 7}';; esac; done");
  std::vector<std::string> requests = {"hang", "crash"};
  for (int i = 0; i < 16; i++) requests.push_back("build");
  std::vector<BuildOutcome> outcomes(requests.size());
  BuildPool pool(worker, 8, 1500ms);
  pool.run(requests, [&](std::size_t i, const BuildOutcome& outcome) { outcomes[i] = outcome; });
  CHECK(outcomes[0].fate == Fate::timed_out);
  CHECK_THAT(outcomes[0].reason, contains_text("it was not compiled after "));
  CHECK(outcomes[1].fate == Fate::crashed);
  CHECK_THAT(outcomes[1].reason, contains_text("it was killed by signal 9"));
  for (std::size_t i = 2; i < outcomes.size(); i++) CHECK(outcomes[i].registers == 7);
}

TEST_CASE("workers compile for a GPU that is not here, and publish into the kernel cache") {
  try {
    compiler_identity();
  } catch (const Error&) {
    SKIP_TEST("no NVRTC");
  }
  const ScratchFolder folder;
  const ScopedVariable cache("STREAMATTN_CACHE_DIR", folder.path().string());
  const ScopedVariable mode("STREAMATTN_CACHE_MODE", std::nullopt);
  const Target& hopper = find_target("sm_90a");
  WorkerDevice device({STREAMATTN_TOOL, "tune", "worker", "--target", "sm_90a"}, hopper, 2);
  const Problem problem{.head_dim = 64};
  const std::vector<Schedule> schedules = {
      parse_schedule("family=flash_wgmma,tile_q=64,tile_kv=64,math_warpgroups=1,ping_pong=false"),
      parse_schedule("family=flash_wgmma,tile_q=64,tile_kv=512,math_warpgroups=1,ping_pong=false")};
  std::vector<BuildOutcome> outcomes(2);
  device.build(problem, schedules,
               [&](std::size_t i, const BuildOutcome& outcome) { outcomes[i] = outcome; });
  CHECK(outcomes[0].ok());
  CHECK(outcomes[0].registers > 0);
  CHECK(outcomes[0].spill_bytes == 0);
  CHECK_FALSE(outcomes[0].is_from_cache);
  CHECK(outcomes[1].fate == Fate::refused);
  CHECK_THAT(outcomes[1].reason, contains_text("tile_kv 512 is not a multiple of 16 in 16..256"));
  CHECK(build_program(problem, schedules[0], hopper, {}).is_from_cache);
}

TEST_CASE("workers die with the process that started them") {
  const ScratchFolder folder;
  const std::string pid_file = (folder.path() / "pid").string();
  const pid_t parent = ::fork();
  if (parent == 0) {
    WorkerProcess worker(shell("echo $$ > " + pid_file + ".new; mv " + pid_file + ".new " +
                               pid_file + "; exec sleep 1000"));
    while (true) ::pause();
  }
  while (!std::filesystem::exists(pid_file)) std::this_thread::sleep_for(5ms);
  const int worker = std::stoi(read_file(pid_file));
  CHECK(::kill(worker, 0) == 0);
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  // Nobody here may be its new parent, so it may stay a zombie: what counts is that it stopped.
  const auto is_running = [&] {
    std::ifstream stat("/proc/" + std::to_string(worker) + "/stat");
    std::string number, command, state;
    return stat >> number >> command >> state && state != "Z" && state != "X";
  };
  for (int i = 0; i < 1000 && is_running(); i++) std::this_thread::sleep_for(5ms);
  CHECK_FALSE(is_running());
}

TEST_CASE("the CPU is timed with warm caches and without graphs, and says so") {
  LocalDevice device({.target = "cpu"}, {.l2 = CacheState::warm, .launch = LaunchMode::eager});
  CHECK(device.site().timed.l2 == "warm");
  CHECK(device.site().timed.launch == "eager");
  CHECK(device.time(small_call(), tiles, 3).ok());
  LocalDevice cold({.target = "cpu"}, {.l2 = CacheState::cold});
  CHECK(error_of([&] { cold.site(); }) ==
        "invalid_argument: a cold L2 is for GPUs: the CPU's caches are warm");
  LocalDevice graph({.target = "cpu"}, {.launch = LaunchMode::graph});
  CHECK(error_of([&] { graph.site(); }) ==
        "invalid_argument: graphs are for GPUs: calls on the CPU have none");
}

TEST_CASE("the gate's calls are odd, and the kernels of the CPU pass them") {
  ForwardCase call = small_call();
  call.problem.mask = Expr::parse("k <= q && k > q - w", ExprRole::mask);
  call.scalars = {{"w", 40}};
  LocalDevice device({.target = "cpu"});
  bool has_one_query = false, has_one_key = false, has_more_queries = false;
  for (const ForwardCase& odd : gate_cases(call)) {
    INFO(odd.describe());
    has_one_query = has_one_query || odd.shape.q_len == 1;
    has_one_key = has_one_key || odd.shape.kv_len == 1;
    has_more_queries = has_more_queries || odd.shape.q_len > odd.shape.kv_len;
    const CheckOutcome outcome = device.check(odd, tiles);
    CHECK(outcome.ok());
    CHECK(outcome.error <= outcome.allowed);
  }
  CHECK(has_one_query);
  CHECK(has_one_key);
  CHECK(has_more_queries);
}

}  // namespace
}  // namespace streamattn
