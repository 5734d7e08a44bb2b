// The streaming benchmark: its fit, its plot, its report, and the command on the CPU.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <vector>

#include "measure/statistics.h"
#include "streamattn/error.h"
#include "streamattn/masks.h"
#include "tests/support/catch.h"
#include "tests/support/tool_run.h"
#include "tools/flops.h"
#include "tools/log_plot.h"
#include "tools/streaming_sweep.h"

namespace streamattn {
namespace {

using Points = std::vector<std::pair<std::int64_t, double>>;

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) found++;
  return found;
}

/// What is wrong with XML of elements, attributes in double quotes and text; empty: nothing.
std::string xml_fault(const std::string& text) {
  std::vector<std::string> open;
  for (std::size_t at = 0; at < text.size(); at++) {
    if (text[at] == '&') {
      const std::string entity = text.substr(at, text.find(';', at) - at + 1);
      if (entity != "&amp;" && entity != "&lt;" && entity != "&gt;") return "entity " + entity;
    }
    if (text[at] == '>') return "a stray >";
    if (text[at] != '<') continue;
    const std::size_t end = text.find('>', at);
    if (end == std::string::npos) return "an open tag";
    const std::string tag = text.substr(at + 1, end - at - 1);
    at = end;
    if (count(tag, "\"") % 2 != 0) return "quotes in " + tag;
    const std::string name = tag.substr(0, tag.find_first_of(" /", 1));
    if (tag.front() == '?' || tag.back() == '/') continue;
    if (tag.front() != '/') {
      open.push_back(name);
    } else if (open.empty() || "/" + open.back() != tag) {
      return "unexpected " + tag;
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : "unclosed " + open.back();
}

StreamingFigure figure(double milliseconds, double flops) {
  return {.timing = {.milliseconds = milliseconds, .spread = 0.01, .rounds = {milliseconds}},
          .flops = flops,
          .schedule = "flash: a"};
}

/// Dense attention grows as the square and is left out at last, streaming as the length.
StreamingReport report() {
  ForwardCase call{.problem = {.head_dim = 128, .mask = streaming_mask()}, .shape = {1, 16, 0, 0}};
  StreamingReport report{.device = "a <device>",
                         .method = {},
                         .call = call,
                         .dense_milliseconds = 200,
                         .reaches = {{64, 16}, {1024, 4}},
                         .rows = {},
                         .dense = {.kernels = 2, .compiled = 2, .cached = 1},
                         .streaming = {.kernels = 1, .compiled = 0, .cached = 1}};
  for (const std::int64_t seq : {1024, 2048, 4096, 8192}) {
    const double n = static_cast<double>(seq) / 1024;
    StreamingRow row{.seq = seq, .dense = {}, .reaches = {figure(n / 4, 1e9), figure(n / 2, 1e9)}};
    if (seq < 8192) {
      row.dense = figure(4 * n * n, 4e9);
    } else {
      row.dense_estimate = 256;
    }
    report.rows.push_back(row);
  }
  return report;
}

ToolRun bench(std::vector<std::string> args) {
  args.insert(args.begin(), "bench");
  return tool(args);
}

/// Tiny enough for a test.
ToolRun streaming(const std::vector<std::string>& more) {
  std::vector<std::string> args = {"--preset",    "streaming", "--target",   "cpu",        "--seq",
                                   "48,16,32,16", "--heads",   "2",          "--head-dim", "8",
                                   "--rounds",    "2",         "--round-ms", "0.1"};
  args.insert(args.end(), more.begin(), more.end());
  return bench(args);
}

TEST_CASE("the slope of a power law is its exponent") {
  const std::vector<double> x = {128, 256, 1024, 4096};
  for (const double exponent : {0.0, 1.0, 2.0, -0.5}) {
    std::vector<double> y;
    for (const double value : x) y.push_back(3.7 * std::pow(value, exponent));
    CHECK(std::abs(log_log_slope(x, y) - exponent) < 1e-12);
  }
}

TEST_CASE("noise that is even moves the slope by little") {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> noise(0.95, 1.05);
  std::vector<double> x, y;
  for (double value = 128; value <= 1 << 20; value *= 2)
    x.push_back(value), y.push_back(1e-6 * value * value * noise(random));
  CHECK(std::abs(log_log_slope(x, y) - 2) < 0.02);
}

TEST_CASE("growth is fitted over the longer half of the lengths") {
  Points points;
  for (std::int64_t seq = 128; seq <= 8192; seq *= 2) {  // flat, then a square
    const double from_kink = std::max(1.0, static_cast<double>(seq) / 1024);
    points.emplace_back(seq, 5 * from_kink * from_kink);
  }
  REQUIRE(points.size() == 7);
  const auto growth = fitted_growth(points);
  REQUIRE(growth);
  CHECK(std::abs(growth->slope - 2) < 1e-12);
  CHECK(growth->from == 1024);
  CHECK(growth->to == 8192);
}

TEST_CASE("two lengths are enough for a slope and one is not") {
  CHECK(!fitted_growth({}));
  CHECK(!fitted_growth({{128, 1.0}}));
  const auto growth = fitted_growth({{128, 1.0}, {512, 4.0}});
  REQUIRE(growth);
  CHECK(std::abs(growth->slope - 1) < 1e-12);
  CHECK(growth->from == 128);
  CHECK(fitted_growth({{128, 1.0}, {256, 9.0}, {512, 18.0}})->from == 256);
}

TEST_CASE("the streaming mask is causal, with sinks or a window that counts the query") {
  CHECK(streaming_mask().same_as(Expr::parse("k <= q && (k < sinks || k > q - window)")));
}

TEST_CASE("pairs of sinks and a window are those that the mask holds") {
  for (const std::int64_t seq : {1, 7, 40, 100}) {
    for (const Reach reach : {Reach{1, 0}, {1, 1}, {7, 3}, {8, 64}, {64, 16}, {200, 4}, {40, 0}}) {
      const ForwardCase call{.problem = {.head_dim = 8, .mask = streaming_mask()},
                             .shape = {1, 1, seq, seq},
                             .scalars = {{"window", static_cast<double>(reach.window)},
                                         {"sinks", static_cast<double>(reach.sinks)}}};
      INFO(seq << ", " << reach.text());
      CHECK(4 * 8 * streaming_pairs(seq, reach) == forward_flops(call).number);
    }
  }
}

TEST_CASE("lengths are written in powers of two") {
  CHECK(short_length(128) == "128");
  CHECK(short_length(4096) == "4K");
  CHECK(short_length(1500) == "1500");
  CHECK(short_length(1 << 20) == "1M");
  CHECK(short_length(3 << 19) == "1536K");
}

TEST_CASE("a streaming report is a table with slopes, what was left out and the kernels") {
  CHECK(printed([](auto& out) { report().print(out); }) ==
        "a <device>, bf16, head_dim 128, batch 1, 16 heads, 16 kv_heads; median over 9 rounds of "
        "about 35 ms\n"
        "dense: k <= q\n"
        "streaming, window:sinks: " +
            streaming_mask().text() +
            "\n"
            "milliseconds; x: times as fast as dense\n"
            "seq      dense   64:16     x  1024:4     x\n"
            "1024    4.0000  0.2500  16.0  0.5000  8.00\n"
            "2048   16.0000  0.5000  32.0  1.0000  16.0\n"
            "4096   64.0000  1.0000  64.0  2.0000  32.0\n"
            "8192         -  2.0000     -  4.0000     -\n"
            "slope     2.00    1.00     -    1.00     -\n"
            "slope: time grows as seq^slope; least squares of log time over log seq, the longer "
            "half of the lengths of each column\n"
            "dense is left out from 8192 on: by the square of the length a run would take 256 ms, "
            "more than 200 (--dense-ms)\n"
            "kernels: 2 for dense, 1 for streaming, which serves every reach; 2 compiled, 2 from "
            "the cache\n");
}

TEST_CASE("a streaming report as CSV has a line for each length and attention") {
  const std::string csv = printed([](auto& out) { report().print_csv(out); });
  CHECK(count(csv, "\r\n") == 1 + 3 * 3 + 2);
  CHECK_THAT(csv, contains_text("seq,attention,window,sinks,ms,spread,tflops,speedup,schedule"
                                "\r\n1024,dense,,,4.000000,0.0100,1.0000,1.0000,flash: a\r\n"
                                "1024,streaming,64,16,0.250000,0.0100,4.0000,16.0000,"));
  CHECK_THAT(csv, contains_text("8192,streaming,1024,4,4.000000,0.0100,0.2500,,flash: a\r\n"));
}

TEST_CASE("a streaming report as JSON has every round, slope and count") {
  const llvm::json::Object json = report().to_json();
  CHECK(json.getObject("problem")->getString("mask") == streaming_mask().text());
  CHECK(json.getObject("problem")->get("q_len") == nullptr);
  const auto& rows = *json.getArray("rows");
  REQUIRE(rows.size() == 4);
  CHECK(rows[0].getAsObject()->getObject("dense")->getArray("rounds")->size() == 1);
  const auto& figure = *(*rows[2].getAsObject()->getArray("streaming"))[1].getAsObject();
  CHECK(figure.getNumber("speedup") == 32.0);
  CHECK(figure.getInteger("window") == 1024);
  CHECK(rows[3].getAsObject()->get("dense") == nullptr);
  CHECK(rows[3].getAsObject()->getNumber("dense_estimate_milliseconds") == 256.0);
  const auto& slopes = *json.getArray("slopes");
  REQUIRE(slopes.size() == 3);
  CHECK(slopes[0].getAsObject()->getString("attention") == "dense");
  CHECK(slopes[0].getAsObject()->getInteger("to") == 4096);
  CHECK(std::abs(*slopes[2].getAsObject()->getNumber("slope") - 1) < 1e-12);
  CHECK(json.getObject("kernels")->getObject("dense")->getInteger("compiled") == 2);
}

TEST_CASE("the plot is well-formed, with a line for dense and one for every reach") {
  const std::string plot = report().plot();
  CHECK(xml_fault(plot).empty());
  CHECK(plot.starts_with("<?xml"));
  CHECK(count(plot, "class=\"plot\"") == 2);
  CHECK(count(plot, "class=\"series\"") == 3 + 2);
  CHECK(count(plot, "<circle") == (3 + 4 + 4) + (3 + 3));
  CHECK_THAT(plot, contains_text(">dense causal, slope 2.00 over 2K to 4K<"));
  CHECK_THAT(plot, contains_text(">streaming 64:16, slope 1.00 over 4K to 8K<"));
  CHECK_THAT(plot, contains_text(">streaming 1024:4, at most 32.0 at 4K<"));
  CHECK_THAT(plot, contains_text("a &lt;device&gt;"));
  for (const char* outside : {"href", "url(", "<script", "<image"})
    CHECK(count(plot, outside) == 0);
}

TEST_CASE("a plot without a dense line has no speed-up") {
  StreamingReport without = report();
  for (StreamingRow& row : without.rows) row.dense = {};
  const std::string plot = without.plot();
  CHECK(xml_fault(plot).empty());
  CHECK(count(plot, "class=\"series\"") == 2);
  CHECK(count(plot, "class=\"plot\"") == 1);
}

TEST_CASE("coordinates of a plot lie inside of it, also of one point") {
  const std::string plot =
      svg("one", {LogPlot{"t", "x", "y", {{.label = "a & b", .points = {{128, 0.003}}}}}});
  CHECK(xml_fault(plot).empty());
  CHECK(count(plot, "nan") == 0);
  CHECK_THAT(plot, contains_text(">128<"));
  CHECK_THAT(plot, contains_text(">0.001<"));
  CHECK_THAT(plot, contains_text(">0.01<"));
  CHECK_THAT(plot, contains_text("a &amp; b"));
}

TEST_CASE("the streaming preset runs on the CPU, lengths sorted, with one kernel for all reaches") {
  const ToolRun outcome = streaming({"--reach", "4:1,1:0", "--reach", "100:2"});
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.exit == Exit::ok);
  CHECK_THAT(outcome.out, contains_text(", bf16, head_dim 8, batch 1, 2 heads, 2 kv_heads;"));
  CHECK_THAT(outcome.out,
             contains_text("kernels: 1 for dense, 1 for streaming, which serves every reach; "
                           "built in, nothing was compiled\n"));
  std::istringstream lines(outcome.out);
  std::vector<std::string> begins;
  for (std::string line, word; std::getline(lines, line);) {
    std::istringstream(line) >> word;
    begins.push_back(word);
  }
  REQUIRE(begins.size() >= 9);
  CHECK(std::vector(begins.begin() + 4, begins.begin() + 9) ==
        std::vector<std::string>{"seq", "16", "32", "48", "slope"});
}

TEST_CASE("the streaming preset takes the flags of a problem, and scalars of its score") {
  const ToolRun outcome = streaming({"--dtype",
                                     "f32",
                                     "--kv-heads",
                                     "1",
                                     "--value-head-dim",
                                     "16",
                                     "--score",
                                     "cap * tanh(score / cap)",
                                     "--set",
                                     "cap=30",
                                     "--sink",
                                     "0.5",
                                     "--layout",
                                     "bhsd",
                                     "--batch",
                                     "2",
                                     "--schedule",
                                     "tile_kv=32",
                                     "--reach",
                                     "4:1",
                                     "--json"});
  INFO(outcome.err);
  REQUIRE(outcome.exit == Exit::ok);
  auto json = llvm::json::parse(outcome.out);
  REQUIRE(bool(json));
  const auto& problem = *json->getAsObject()->getObject("problem");
  CHECK(problem.getString("dtype") == "f32");
  CHECK(problem.getInteger("kv_heads") == 1);
  CHECK(problem.getString("score") == "cap * tanh(score / cap)");
  CHECK(problem.getObject("scalars")->getNumber("cap") == 30.0);
  CHECK(problem.getObject("scalars")->get("window") == nullptr);
  const auto& row = *(*json->getAsObject()->getArray("rows"))[0].getAsObject();
  CHECK(row.getObject("dense")->getNumber("flops") == 2.0 * (8 + 16) * 2 * 2 * (0.5 * 16 * 16));
  const auto& figure = *(*row.getArray("streaming"))[0].getAsObject();
  CHECK(figure.getNumber("flops") == 2.0 * (8 + 16) * 2 * 2 * streaming_pairs(16, {4, 1}));
  CHECK_THAT(figure.getString("schedule")->str(), contains_text("tile_kv 32"));
}

TEST_CASE("dense attention is left out where it would take too long") {
  const ToolRun never = streaming({"--dense-ms", "0", "--reach", "4:1", "--csv"});
  CHECK(never.exit == Exit::ok);
  CHECK(count(never.out, ",dense,") == 0);
  CHECK(count(never.out, ",streaming,4,1,") == 3);

  const ToolRun once = streaming({"--dense-ms", "1e-9", "--reach", "4:1"});
  CHECK_THAT(once.out, contains_text("dense is left out from 32 on: by the square"));

  // Beyond the length that is tried first, the first one too.
  const ToolRun probed = bench({"--preset", "streaming", "--target", "cpu", "--seq", "1100",
                                "--heads", "1", "--head-dim", "8", "--rounds", "1", "--round-ms",
                                "0.1", "--dense-ms", "1e-9", "--reach", "4:1", "--csv"});
  CHECK(count(probed.out, ",dense,") == 0);
  CHECK(count(probed.out, ",streaming,") == 1);
}

TEST_CASE("the plot goes to a file, beside the table") {
  const auto path = std::filesystem::temp_directory_path() /
                    ("streamattn-plot-" + std::to_string(std::random_device()()) + ".svg");
  const ToolRun outcome = streaming({"--reach", "4:1", "--plot", path.string()});
  INFO(outcome.err);
  CHECK(outcome.exit == Exit::ok);
  std::ostringstream plot;
  plot << std::ifstream(path).rdbuf();
  std::filesystem::remove(path);
  CHECK(xml_fault(plot.str()).empty());
  CHECK(count(plot.str(), "class=\"series\"") == 2 + 1);
  CHECK_THAT(outcome.out, contains_text("kernels: "));
}

TEST_CASE("flags that do not fit the streaming preset are refused") {
  struct Case {
    std::vector<std::string> flags;
    const char* complaint;
  };
  const Case cases[] = {
      {{"--preset", "dreaming"}, "unknown preset \"dreaming\", known: streaming"},
      {{"--reach", "64:16"}, "--reach needs --preset streaming"},
      {{"--dense-ms", "3"}, "--dense-ms needs --preset streaming"},
      {{"--plot", "x.svg"}, "--plot needs --preset streaming"},
      {{"--preset", "streaming", "--reach", "64"},
       "--reach is \"64\", needs window:sinks such as 1024:4"},
      {{"--preset", "streaming", "--reach", "0:4"}, "--reach is \"0:4\", needs window:sinks"},
      {{"--preset", "streaming", "--reach", "4:-1"}, "--reach is \"4:-1\", needs window:sinks"},
      {{"--preset", "streaming", "--reach", "4:2000000000"}, "needs window:sinks"},
      {{"--preset", "streaming", "--suite", "h200-forward"}, "--preset and --suite exclude"},
      {{"--preset", "streaming", "--mask", "k <= q"}, "--preset and --mask exclude"},
      {{"--preset", "streaming", "--baseline", "x"}, "--preset and --baseline exclude"},
      {{"--preset", "streaming", "--q-len", "1"}, "--preset and --q-len exclude"},
      {{"--preset", "streaming", "--tokens", "9"}, "--preset and --tokens exclude"},
      {{"--preset", "streaming", "--head-dim", "8,16"},
       "--preset streaming is of one problem: give one --head-dim and one --score"},
      {{"--preset", "streaming", "--set", "window=4"}, "--set window: the preset gives it"},
      {{"--preset", "streaming", "--schedule", "tile_kv=32", "--schedule", "tile_kv=64"},
       "--schedule is given 2 times"},
      {{"--preset", "streaming", "--target", "cpu", "--plot", "/nonexistent/x.svg"},
       "cannot write /nonexistent/x.svg: "},
  };
  for (const Case& c : cases) {
    const ToolRun outcome = bench(c.flags);
    INFO(outcome.err);
    CHECK(outcome.exit == Exit::usage);
    CHECK_THAT(outcome.err, contains_text(c.complaint));
    CHECK(outcome.out.empty());
  }
}

}  // namespace
}  // namespace streamattn
