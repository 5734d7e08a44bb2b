// Tables, grids, baselines and reports of the benchmark.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>

#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tests/support/tool_run.h"
#include "tools/bench_grid.h"
#include "tools/bench_report.h"
#include "tools/table.h"

namespace streamattn {
namespace {

template <class Action>
std::string complaint(Action action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_config);
    return error.what();
  }
  return "no complaint";
}

/// A file that is removed at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content)
      : path_(std::filesystem::temp_directory_path() /
              ("streamattn-baseline-" + std::to_string(std::random_device()()))) {
    std::ofstream(path_) << content;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

constexpr const char* baseline_text = R"({"method": "made up", "fwd": [
  {"d": 128, "causal": true, "s": 4096, "b": 4, "h": 16,
   "fa3": 624.0, "cudnn": 480.0, "best": 624.0, "flex": NaN},
  {"d": 64, "causal": false, "s": 512, "b": 32, "h": 32, "best": 385.5}]})";

ForwardCase causal_call() {
  return {.problem = {.head_dim = 128, .mask = causal()}, .shape = {4, 16, 4096, 4096}};
}

std::vector<ForwardCase> calls(const std::vector<std::string>& args) {
  BenchGridFlags grid;
  Flags flags("bench", "");
  grid.add_to(flags);
  flags.parse(args, llvm::nulls());
  return grid.calls();
}

TEST_CASE("a table aligns numbers to the right and words to the left") {
  Table table({"mask", "ms"});
  table.add({"true", "0.5"});
  table.add({"k <= q", "12.25"});
  CHECK(printed([&](auto& out) { table.print(out); }) ==
        "mask       ms\n"
        "true      0.5\n"
        "k <= q  12.25\n");
}

TEST_CASE("TFLOP/s of slow machines keep their digits") {
  CHECK(tflops_text(612.345) == "612.3");
  CHECK(tflops_text(0.05873) == "0.0587");
}

TEST_CASE("CSV quotes cells with commas and quotes") {
  Table table({"a", "b"});
  table.add({"1,2", "say \"x\""});
  CHECK(printed([&](auto& out) { table.print_csv(out); }) ==
        "a,b\r\n\"1,2\",\"say \"\"x\"\"\"\r\n");
}

TEST_CASE("the h200-forward suite is 36 rows of 16384 tokens and 2048 columns") {
  const auto rows = calls({"--suite", "h200-forward"});
  CHECK(rows.size() == 36);
  for (const ForwardCase& row : rows) {
    CHECK(row.shape.batch * row.shape.q_len == 16384);
    CHECK(row.shape.q_len == row.shape.kv_len);
    CHECK(row.heads() * row.problem.head_dim == 2048);
  }
  CHECK(rows.front().problem.head_dim == 64);
  CHECK(rows.front().shape == Shape{32, 32, 512, 512});
  CHECK(rows.back().shape == Shape{1, 8, 16384, 16384});
  CHECK(rows.back().problem.mask.same_as(causal()));
}

TEST_CASE("flags replace parts of a suite") {
  const auto rows = calls({"--head-dim", "128", "--suite", "h200-forward", "--seq", "1024,2048",
                           "--kv-heads", "2", "--mask", "k <= q", "--dtype", "f16"});
  REQUIRE(rows.size() == 2);
  CHECK(
      rows[1].problem.describe() ==
      Problem{.dtype = DType::f16, .head_dim = 128, .group_size = 8, .mask = causal()}.describe());
  CHECK(rows[1].shape == Shape{8, 2, 2048, 2048});
}

TEST_CASE("a grid without a suite takes batch and heads as given") {
  const auto rows = calls({"--seq", "7,9", "--q-len", "1", "--batch", "3", "--heads", "6",
                           "--kv-heads", "2", "--layout", "bhsd"});
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].shape == Shape{3, 2, 1, 7});
  CHECK(rows[1].heads() == 6);
  CHECK(rows[1].layout == Layout::bhsd);
}

TEST_CASE("grids that make no sense are refused") {
  CHECK(complaint([] { calls({"--suite", "h100"}); }) ==
        "unknown suite \"h100\", known: h200-forward, h200-backward");
  CHECK(complaint([] { calls({"--seq", "0"}); }) == "--seq must be >= 1");
  CHECK(complaint([] { calls({"--heads", "6", "--kv-heads", "4"}); }) ==
        "--heads 6 is no multiple of --kv-heads 4");
  CHECK(complaint([] { calls({"--layout", "sbhd"}); }) ==
        "--layout is \"sbhd\", needs bshd or bhsd");
}

TEST_CASE("a baseline gives the figures of exactly the same call, the best first") {
  const TemporaryFile file(baseline_text);
  const Baseline baseline = Baseline::load(file.path());
  const auto figures = baseline.find(causal_call());
  REQUIRE(figures.size() == 3);
  CHECK(figures[0].peer == "best");
  CHECK(figures[0].tflops == 624);
  CHECK(figures[1].peer == "cudnn");
  CHECK(figures[2].peer == "fa3");

  const auto is_unknown = [&](auto change) {
    ForwardCase call = causal_call();
    change(call);
    return baseline.find(call).empty();
  };
  CHECK(is_unknown([](ForwardCase& call) { call.problem.mask = Expr(); }));
  CHECK(is_unknown([](ForwardCase& call) { call.problem.dtype = DType::f16; }));
  CHECK(is_unknown([](ForwardCase& call) { call.problem.out_dtype = DType::f32; }));
  CHECK(is_unknown([](ForwardCase& call) { call.problem.value_head_dim = 64; }));
  CHECK(is_unknown([](ForwardCase& call) { call.problem.head_dim = 64; }));
  CHECK(is_unknown([](ForwardCase& call) { call.shape.q_len = 1; }));
  CHECK(is_unknown([](ForwardCase& call) { call.shape.batch = 1; }));
  CHECK(is_unknown([](ForwardCase& call) { call.layout = Layout::bhsd; }));
  CHECK(is_unknown([](ForwardCase& call) {
    call.problem.group_size = 2;
    call.shape.kv_heads = 8;
  }));
}

TEST_CASE("a baseline keeps the figures of forward and backward calls apart") {
  const TemporaryFile file(R"({"fwd": [],
    "bwd": [{"d": 128, "causal": true, "s": 4096, "b": 4, "h": 16, "best": 535.6, "fa4": 535.6}]})");
  const Baseline baseline = Baseline::load(file.path());
  ForwardCase call = causal_call();
  CHECK(baseline.find(call).empty());
  call.operation = Operation::backward;
  REQUIRE(baseline.find(call).size() == 2);
  CHECK(baseline.find(call)[0].tflops == 535.6);
}

TEST_CASE("the backward suite is twelve shapes of the operation") {
  const std::vector<ForwardCase> all = calls({"--suite", "h200-backward"});
  CHECK(all.size() == 12);
  for (const ForwardCase& call : all) CHECK(call.operation == Operation::backward);
}

TEST_CASE("a baseline of another form is refused with its path") {
  const auto load = [](const std::string& content) {
    const TemporaryFile file(content);
    const std::string message = complaint([&] { Baseline::load(file.path()); });
    const std::string prefix = "baseline " + file.path() + ": ";
    CHECK(message.substr(0, prefix.size()) == prefix);
    return message.substr(prefix.size());
  };
  CHECK(load("{}") == "has no array \"fwd\"");
  CHECK(load(R"({"fwd": [3]})") == "a row of \"fwd\" is no object");
  CHECK(load(R"({"fwd": [{"d": 64}]})") == "a row of \"fwd\" has no number \"s\"");
  CHECK_THAT(load("{"), Catch::Matchers::StartsWith("[1:1"));
  CHECK_THAT(complaint([] { Baseline::load("/nonexistent/h200.json"); }),
             Catch::Matchers::StartsWith("baseline /nonexistent/h200.json: "));
}

BenchReport report() {
  const Timing fast{.milliseconds = 1, .spread = 0.015, .rounds = {2, 1, 1}};
  BenchReport report{.device = "a device", .method = {}, .rows = {}};
  report.rows.push_back({.call = causal_call(),
                         .flops = 312e9,
                         .candidates = {{.schedule = "flash: a", .timing = fast, .refusal = ""},
                                        {.fields = "stages=9",
                                         .schedule = "flash: b",
                                         .timing = {},
                                         .refusal = "too much shared memory"}},
                         .peers = {{"best", 624}, {"cudnn", 480}}});
  report.rows.push_back({.call = causal_call(),
                         .flops = 624e9,
                         .candidates = {{.schedule = "flash: a", .timing = fast, .refusal = ""}},
                         .peers = {{"best", 624}}});
  return report;
}

TEST_CASE("a report prints ratios to the baseline, refusals and the geometric mean") {
  const std::string text = printed([](auto& out) { report().print(out); });
  CHECK(text ==
        "a device; cold L2, eager launches; median over 9 rounds of about 35 ms\n"
        "head_dim  mask    q_len  kv_len  batch  heads  kv_heads  schedule      ms  spread  "
        "TFLOP/s   best  cudnn  ratio\n"
        "     128  k <= q   4096    4096      4     16        16  chosen    1.0000    1.5%  "
        "  312.0  624.0  480.0  0.500\n"
        "     128  k <= q   4096    4096      4     16        16  stages=9       -       -  "
        "      -  624.0  480.0      -\n"
        "     128  k <= q   4096    4096      4     16        16  chosen    1.0000    1.5%  "
        "  624.0  624.0      -  1.000\n"
        "not timed: stages=9: too much shared memory\n"
        "chosen: 0.707 x best in the geometric mean of 2 rows, lowest 0.500\n");
}

TEST_CASE("a report as JSON has every round and every figure") {
  const llvm::json::Object json = report().to_json();
  CHECK(json.getString("l2") == "cold");
  CHECK(json.getString("launch") == "eager");
  const double mean = *json.getObject("geometric_mean_ratio")->getNumber("chosen");
  CHECK(std::abs(mean * mean - 0.5) < 1e-12);
  const llvm::json::Object& row = *(*json.getArray("rows"))[0].getAsObject();
  CHECK(*row.getInteger("kv_len") == 4096);
  CHECK(*row.getObject("peers")->getNumber("cudnn") == 480);
  const llvm::json::Array& candidates = *row.getArray("candidates");
  CHECK(candidates[0].getAsObject()->getArray("rounds")->size() == 3);
  CHECK(*candidates[0].getAsObject()->getNumber("tflops") == 312);
  CHECK(*candidates[0].getAsObject()->getNumber("ratio") == 0.5);
  CHECK(*candidates[1].getAsObject()->getString("refusal") == "too much shared memory");
}

}  // namespace
}  // namespace streamattn
