// Jobs: what TOML states, lists of lengths, buckets, traces, and what is refused.
#include "autotune/tune_job.h"
#include "autotune/length_lists.h"
#include "streamattn/compiler.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

namespace streamattn {
namespace {

TuneJob job(const std::string& text) { return parse_tune_job(text, "job.toml", "."); }

std::string complaint(const std::string& text) {
  return error_of([&] { job(text); });
}

using Point = std::pair<std::int64_t, std::int64_t>;

TEST_CASE("a case is every combination of its lists, lengths varying fastest") {
  const TuneJob read =
      job("target = \"sm_90a\"\n"
          "[[case]]\nhead_dim = [64, 128]\nmask = [\"true\", \"k <= q\"]\nhidden = 2048\n"
          "tokens = 16384\nseq = [512, 16384]\nlayout = \"bhsd\"\n");
  CHECK(read.target == "sm_90a");
  REQUIRE(read.groups.size() == 8);
  const TuneGroup& first = read.groups[0];
  CHECK(first.call.shape == Shape{32, 32, 512, 512});
  CHECK(first.call.layout == Layout::bhsd);
  CHECK(first.q_len == Lengths{512, 512});
  CHECK(read.groups[1].call.shape == Shape{1, 32, 16384, 16384});
  CHECK(read.groups[2].call.problem.head_dim == 128);
  CHECK(read.groups[4].call.problem.mask.same_as(causal()));
}

TEST_CASE("heads, key-value heads, types, scores, names and weights reach the calls") {
  const TuneJob read = job(
      "[[case]]\ndtype = \"f16\"\nout_dtype = \"f32\"\nvalue_head_dim = 64\nheads = 32\nkv_heads = "
      "8\n"
      "mask = \"k > q - w\"\nscore = \"score + slope[head]\"\nsink = \"s[head]\"\nbatch = [2, 4]\n"
      "q_len = [1, 16]\nkv_len = 4096\nset = { w = 128 }\ntensor = { slope = \"slopes\" }\n"
      "weight = 3\n");
  REQUIRE(read.groups.size() == 2);
  const TuneGroup& group = read.groups[1];
  CHECK(group.call.problem.describe() ==
        "f16 -> f32, head_dim 128, value_head_dim 64, group 4; mask: k > q - w; score: score + "
        "slope[head]; sink: s[head]");
  CHECK(group.shapes == std::vector<Shape>{{2, 8, 16, 4096}, {4, 8, 16, 4096}});
  CHECK(group.weight == 3);
  REQUIRE(group.call.scalars.size() == 1);
  CHECK(group.call.scalars[0].value == 128);
  REQUIRE(group.call.tensors.size() == 1);
  CHECK(group.call.tensors[0].kind == InputKind::slopes);
}

TEST_CASE("buckets end at powers of two and are measured at their end and in their middle") {
  const auto buckets = square_buckets({257, 1500});
  REQUIRE(buckets.size() == 3);
  CHECK(buckets[0].q_len == Lengths{257, 512});
  CHECK(buckets[0].points == std::vector<Point>{{512, 512}, {384, 384}});
  CHECK(buckets[2].kv_len == Lengths{1025, 1500});
  CHECK(buckets[2].points.front() == Point{1500, 1500});
  CHECK(square_buckets({1, 1}).front().points.size() == 1);
}

TEST_CASE(
    "random lengths are those of their seed, within their limits, short ones as likely as long") {
  const auto drawn = random_lengths(400, {64, 16384}, 7);
  REQUIRE(drawn.size() == 400);
  int short_ones = 0;
  for (const LengthBucket& one : drawn) {
    CHECK(one.q_len.first >= 64);
    CHECK(one.q_len.last <= 16384);
    CHECK(one.points == std::vector<Point>{{one.q_len.last, one.kv_len.last}});
    short_ones += one.q_len.last < 1024;  // half of the octaves
  }
  CHECK(short_ones > 160);
  CHECK(short_ones < 240);
  CHECK(random_lengths(3, {64, 16384}, 7)[2].q_len == drawn[2].q_len);
  CHECK(random_lengths(3, {64, 16384}, 8)[2].q_len != drawn[2].q_len);
  const TuneJob read = job("[[case]]\nseq = { random = 5, from = 100, to = 200, seed = 3 }\n");
  CHECK(read.groups.size() == 5);
  CHECK_THAT(complaint("[[case]]\nseq = { random = 0, from = 1, to = 2 }\n"),
             contains_text("random is not in 1..10000"));
}

TEST_CASE("a trace becomes buckets that weigh as much as they have calls") {
  const auto buckets =
      trace_buckets("q_len,kv_len\n1,700\n1,900\n1,1000\n\n# more\n5,300\n200,200\n", "trace.csv");
  REQUIRE(buckets.size() == 3);
  CHECK(buckets[0].q_len == Lengths{1, 1});
  CHECK(buckets[0].kv_len == Lengths{513, 1024});
  CHECK(buckets[0].points == std::vector<Point>{{1, 1000}, {1, 900}});
  CHECK(buckets[0].weight == 3);
  CHECK(buckets[1].q_len == Lengths{2, 16});
  CHECK(buckets[2].q_len == Lengths{129, 256});
  CHECK_THAT(error_of([] { trace_buckets("12\nx\n", "trace.csv"); }),
             contains_text("trace.csv:2: \"x\" is no call"));
  CHECK_THAT(error_of([] { trace_buckets("lengths\n", "trace.csv"); }),
             contains_text("the trace has no calls"));
}

TEST_CASE("a trace is looked for beside the job") {
  const ScratchFolder folder;
  write_file(folder.path() / "lens.csv", "300\n400\n");
  write_file(folder.path() / "job.toml", "[[case]]\nseq = { trace = \"lens.csv\" }\n");
  const TuneJob read = load_tune_job(folder.path() / "job.toml");
  REQUIRE(read.groups.size() == 1);
  CHECK(read.groups[0].q_len == Lengths{257, 512});
  CHECK(read.groups[0].shapes.size() == 1);  // the median is the largest
  CHECK_THAT(error_of([] { load_tune_job("/nowhere/job.toml"); }),
             contains_text("/nowhere/job.toml cannot be read"));
}

TEST_CASE("the jobs of bench are the 36 shapes of its suite, and buckets that end at them") {
  const std::filesystem::path jobs = std::filesystem::path(STREAMATTN_SOURCE_DIR) / "bench/jobs";
  const TuneJob points = load_tune_job(jobs / "h200_forward.toml");
  const TuneJob buckets = load_tune_job(jobs / "sm_90a.toml");
  REQUIRE(points.groups.size() == 36);
  REQUIRE(buckets.groups.size() == 71);
  for (std::size_t i = 0; i < 36; i++) {
    const TuneGroup &point = points.groups[i], &bucket = buckets.groups[i];
    CHECK(point.call.describe() == bucket.call.describe());
    CHECK(bucket.q_len.first == point.q_len.last / 2 + 1);
    CHECK(bucket.shapes.size() == 2);
    CHECK(point.call.heads() * point.call.problem.head_dim == 2048);
    CHECK(point.call.shape.batch * point.call.shape.kv_len == 16384);
  }
  CHECK(load_tune_job(jobs / "sm_90a-random.toml").groups.size() == 30);
}

TEST_CASE("a space keeps the schedules that it allows, by the knobs that a family has") {
  const TuneJob read =
      job("[[case]]\n[space]\ntile_kv = [64, 128]\nsoftmax = \"stale\"\nping_pong = true\n");
  const Schedule flash = parse_schedule("family=flash_wgmma,tile_kv=64,softmax=stale");
  CHECK(allows(read.space, flash));
  CHECK_FALSE(allows(read.space, parse_schedule("tile_kv=96", flash)));
  CHECK_FALSE(allows(read.space, parse_schedule("softmax=exact", flash)));
  CHECK_FALSE(allows(read.space, parse_schedule("ping_pong=false", flash)));
  CHECK(allows(read.space, parse_schedule("family=cpu_tiled,tile_kv=64")));
  CHECK_FALSE(allows(read.space, parse_schedule("family=cpu_tiled,tile_kv=32")));
}

TEST_CASE("a mistake in a job is an error with file, line and column") {
  CHECK(complaint("") == "invalid_config: job.toml:1:1: the job has no [[case]]");
  CHECK(complaint("case = 1\n") == "invalid_config: job.toml:1:8: case is no [[case]]");
  CHECK(complaint("[[cases]]\n") ==
        "invalid_config: job.toml:1:3: unknown key \"cases\", did you mean \"case\"?");
  CHECK_THAT(complaint("[[case]]\nsequ = 1\n"),
             contains_text("job.toml:2:1: unknown key \"sequ\", did you mean \"seq\"?"));
  CHECK_THAT(complaint("target = \"sm_91\"\n[[case]]\n"),
             contains_text("job.toml:1:10: unknown target \"sm_91\""));
  CHECK_THAT(complaint("[[case]]\nheads = 8\nkv_heads = 3\n"),
             contains_text("8 heads are no multiple of 3 kv_heads"));
  CHECK_THAT(complaint("[[case]]\nheads = 8\nhidden = 1024\n"),
             contains_text("hidden and heads both say how many heads"));
  CHECK_THAT(complaint("[[case]]\nbatch = 1\ntokens = 1024\n"),
             contains_text("tokens and batch both say how large the batch is"));
  CHECK_THAT(complaint("[[case]]\nmask = \"k > q - w\"\n"),
             contains_text("set = { w = X } is missing"));
  CHECK_THAT(complaint("[[case]]\nmask = \"k <\"\n"), contains_text("job.toml:1:1: mask"));
  CHECK_THAT(complaint("[[case]]\nseq = { from = 4 }\n"),
             contains_text("seq needs { from = A, to = B } with 1 <= A <= B <= 2^40, or { trace = "
                           "FILE }"));
  CHECK_THAT(complaint("[[case]]\nseq = { from = 1, to = 9223372036854775807 }\n"),
             contains_text("1 <= A <= B <= 2^40"));
  CHECK_THAT(complaint("[[case]]\nseq = 4\nkv_len = 4\n"),
             contains_text("seq says both lengths, q_len and kv_len one each"));
  CHECK_THAT(complaint("[[case]]\nseq = []\n"), contains_text("the list is empty"));
  CHECK_THAT(complaint("a = tru\x1b[31m\n"), contains_text("saw 'tru\\x1b'"));
  CHECK_THAT(complaint("[[case]]\nseq = -4\n"), contains_text("seq is no integer from 0 on"));
  CHECK_THAT(complaint("[[case]]\nweight = 0\n"), contains_text("weight is no number above 0"));
  CHECK_THAT(complaint("[[case]]\nlayout = \"sbhd\"\n"),
             contains_text("layout is \"sbhd\", needs bshd or bhsd"));
}

}  // namespace
}  // namespace streamattn
