// Tables of schedules: reading TOML, matching, errors with their place.
#include "streamattn/schedule_table.h"

#include <sys/stat.h>

#include <algorithm>
#include <random>

#include "streamattn/compiler.h"
#include "streamattn/masks.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;

namespace {

const Target& hopper = find_target("sm_90a");

/// A table of one row with the given conditions.
ScheduleTable row(const std::string& when) {
  return ScheduleTable::parse("[[schedule]]\ntarget = \"sm_90a\"\nwhen = { " + when +
                                  " }\nuse = { family = \"flash_wgmma\" }\n",
                              "row.toml");
}

bool fits(const std::string& when, const Problem& problem, const Shape& shape) {
  return row(when).find(Operation::forward, problem, shape, hopper).has_value();
}

std::string complaint(const std::string& text) {
  return error_of([&] { ScheduleTable::parse(text, "pins.toml"); });
}

/// The complaint about one row that is right but for `line`.
std::string row_complaint(const std::string& line) {
  return complaint("[[schedule]]\ntarget = \"sm_90a\"\n" + line + "\n");
}

}  // namespace

TEST_CASE("a row sets the fields it names and leaves the others at their defaults") {
  const auto table = ScheduleTable::parse(R"(
[[schedule]]
target = "sm_90a"
use = { family = "flash_wgmma", tile_q = 128, tile_kv = 176, softmax = "stale", o_buffer = true }
)",
                                          "pins.toml");
  REQUIRE(table.size() == 1);
  const auto match = table.find(Operation::forward, {}, {}, hopper);
  REQUIRE(match);
  CHECK(match->schedule == parse_schedule("family=flash_wgmma, tile_q=128, tile_kv=176, "
                                          "softmax=stale, o_buffer=true"));
  CHECK(match->origin == "pins.toml:2");
}

TEST_CASE("a row fits when every one of its conditions holds") {
  const Problem problem{.dtype = DType::f16,
                        .out_dtype = DType::f32,
                        .head_dim = 128,
                        .value_head_dim = 64,
                        .group_size = 4,
                        .mask = causal()};
  const Shape shape{.batch = 3, .kv_heads = 2, .q_len = 1000, .kv_len = 5000};
  for (const char* when :
       {"", "op = \"forward\"", "dtype = \"f16\"", "out_dtype = \"f32\"", "head_dim = 128",
        "value_head_dim = 64", "group_size = 4", "mask = \"q >= k\"", "q_len = 1000",
        "kv_len = 5000", "batch = 3", "kv_heads = 2", "tiles = 192", "q_len = \"1000..1000\"",
        "q_len = \"..1000\"", "q_len = \"1000..\"",
        "head_dim = \"64..128\", kv_len = \"4096..\""}) {
    INFO(when);
    CHECK(fits(when, problem, shape));
  }
  for (const char* when :
       {"dtype = \"bf16\"", "out_dtype = \"f16\"", "head_dim = 64", "value_head_dim = 128",
        "group_size = 1", "mask = \"true\"", "q_len = 1001", "kv_len = \"..4999\"",
        "batch = \"4..\"", "kv_heads = 8", "tiles = 191", "head_dim = 128, q_len = \"2048..\""}) {
    INFO(when);
    CHECK_FALSE(fits(when, problem, shape));
  }
}

TEST_CASE("conditions on masks, scores and sinks fit every spelling of one") {
  const Problem changed{.mask = Expr::parse("k > q - window && k <= q"),
                        .score = softcap(scalar("cap", DType::f32)),
                        .sink = TensorName("logit", DType::f32)(expr_names::head)};
  for (const char* when : {"mask = \"q >= k && q < k + window\"",
                           "score = \"tanh(score / cap) * cap\"", "sink = \"logit:f32[ head ]\""}) {
    INFO(when);
    CHECK(fits(when, changed, {}));
    CHECK_FALSE(fits(when, Problem{}, {}));
  }
  CHECK(fits("score = \"score\"", Problem{}, {}));
  CHECK_FALSE(fits("score = \"score\"", changed, {}));
  CHECK_FALSE(fits("sink = \"logit[kv_head]\"", changed, {}));
}

TEST_CASE("conditions on types and dimensions see the defaults of a problem") {
  CHECK(fits("out_dtype = \"bf16\", value_head_dim = 128, mask = \"true\"", Problem{}, {}));
  CHECK_FALSE(fits("out_dtype = \"f32\"", Problem{}, {}));
}

TEST_CASE("a row for one problem that its schedule does not fit is an error with its place") {
  const auto whole = [](const std::string& head_dim, const std::string& use) {
    return row_complaint(
        "when = { dtype = \"bf16\", out_dtype = \"bf16\", head_dim = " + head_dim +
        ", value_head_dim = 128, group_size = 1, mask = \"true\", score = \"score\", q_layout = "
        "\"dense\", kv_layout = \"dense\", q_lens = false, kv_lens = false, dropout = false, q_len "
        "= \"513..\" }\n"
        "use = { " +
        use + " }");
  };
  CHECK(
      whole("128", "family = \"flash_wgmma\", tile_q = 128, tile_kv = 128, math_warpgroups = 2") ==
      "nothing");
  CHECK(whole("128", "family = \"flash_wgmma\", tile_q = 100, math_warpgroups = 2") ==
        "invalid_config: pins.toml:4:7: flash_wgmma: tile_q 100 is not 64 x math_warpgroups = 128");
  CHECK_THAT(whole("128", "family = \"cpu_tiled\""),
             contains_text("pins.toml:4:7: cpu_tiled: sm_90a is a GPU"));
  CHECK_THAT(whole("0", "family = \"flash_wgmma\""), contains_text("pins.toml:4:7: head_dim 0"));
  // Of several problems, some may be served.
  CHECK(whole("\"64..128\"", "family = \"flash_wgmma\", tile_q = 100") == "nothing");
}

TEST_CASE("the nearest rows are those of the most similar calls, of the head dims asked for") {
  const auto named = [](const std::string& when, const char* tile_kv) {
    return "[[schedule]]\ntarget = \"sm_90a\"\nwhen = { " + when +
           " }\nuse = { family = \"flash_wgmma\", tile_kv = " + tile_kv + " }\n";
  };
  const auto table = ScheduleTable::parse(
      named("head_dim = 128, q_len = \"..512\"", "16") + named("head_dim = 64", "32") +
          named("head_dim = 128, mask = \"k <= q\", q_len = \"2048..\"", "48") +
          named("head_dim = 128, q_len = \"2048..\", kv_len = 8192", "64") +
          named("q_len = 1024, batch = 7, tiles = 1", "80") +
          named("head_dim = 128, q_len = 1024", "80"),
      "rows.toml");
  std::vector<std::int64_t> found;
  for (const Schedule& schedule :
       table.nearest(Operation::forward, {},
                     {.batch = 1, .kv_heads = 1, .q_len = 1024, .kv_len = 2048}, hopper, 4))
    found.push_back(std::get<std::int64_t>(schedule.get("tile_kv")));
  CHECK(found == std::vector<std::int64_t>{80, 16, 48, 64});
  CHECK(table.nearest(Operation::backward, {}, {}, hopper, 4).empty());
  CHECK(table.nearest(Operation::forward, {}, {}, find_target("cpu"), 4).empty());
}

TEST_CASE("the number of tiles of an absurd shape does not wrap around") {
  const Shape absurd{.batch = std::int64_t{1} << 40, .kv_heads = 1 << 20, .q_len = 1 << 30};
  CHECK(fits("tiles = \"1000000000000..\"", Problem{}, absurd));
}

TEST_CASE("the first row that fits wins, and appended rows come last") {
  const auto named = [](const char* name) {
    return ScheduleTable::parse("[[schedule]]\ntarget = \"sm_90a\"\nuse.family = \"flash_wgmma\"\n",
                                name);
  };
  ScheduleTable table = named("first");
  table.append(named("second"));
  CHECK(table.size() == 2);
  CHECK(table.find(Operation::forward, {}, {}, hopper)->origin == "first:1");

  table.append(table);
  CHECK(table.size() == 4);

  ScheduleTable specific = row("head_dim = 64");
  specific.append(table);
  CHECK(specific.find(Operation::forward, {}, {}, hopper)->origin == "first:1");
  CHECK(specific.find(Operation::forward, {.head_dim = 64}, {}, hopper)->origin == "row.toml:1");
}

TEST_CASE("a row is for the operation of its family, and never fits where op is another") {
  const std::string row = "[[schedule]]\ntarget = \"sm_90a\"\nuse = { family = \"flash_wgmma\" }\n";
  const auto other = static_cast<Operation>(1);  // no family has it
  for (const char* when : {"", "when = { op = \"forward\" }\n"}) {
    const auto table = ScheduleTable::parse(row + when, "pins.toml");
    CHECK(table.find(Operation::forward, {}, {}, hopper));
    CHECK_FALSE(table.find(other, {}, {}, hopper));
  }
}

TEST_CASE("a row is for its target alone") {
  CHECK_FALSE(row("").find(Operation::forward, {}, {}, find_target("cpu")));
  CHECK(row("").find(Operation::forward, {}, {}, hopper));
}

TEST_CASE("a copied table is independent of the first") {
  ScheduleTable table = row("");
  ScheduleTable copy = table;
  copy.append(table);
  CHECK(table.size() == 1);
  CHECK(copy.size() == 2);
  table = copy;
  CHECK(table.size() == 2);
}

TEST_CASE("an empty table fits nothing") {
  CHECK_FALSE(ScheduleTable().find(Operation::forward, {}, {}, hopper));
  CHECK(ScheduleTable::parse("# nothing\n", "empty.toml").size() == 0);
}

TEST_CASE("a table is read from a file that names its rows") {
  const ScratchFolder folder;
  const auto path = folder.path() / "pins.toml";
  write_file(path, "[[schedule]]\ntarget = \"sm_90a\"\nuse = { family = \"flash_wgmma\" }\n");
  CHECK(ScheduleTable::load(path).find(Operation::forward, {}, {}, hopper)->origin ==
        path.string() + ":1");

  const auto missing = folder.path() / "missing.toml";
  CHECK(error_of([&] { ScheduleTable::load(missing); }) ==
        "invalid_config: " + missing.string() + " cannot be read: No such file or directory");
  CHECK_THROWS_AS(ScheduleTable::load(folder.path()), Error);
}

TEST_CASE("what is no regular file of a bearable size is refused before it is read") {
  const ScratchFolder folder;
  const auto complaint_about = [](const std::filesystem::path& path) {
    return error_of([&] { ScheduleTable::load(path); });
  };
  CHECK(complaint_about("/dev/zero") == "invalid_config: /dev/zero is not a regular file");
  CHECK(complaint_about(folder.path()) ==
        "invalid_config: " + folder.path().string() + " is not a regular file");
  const auto fifo = folder.path() / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(complaint_about(fifo) == "invalid_config: " + fifo.string() + " is not a regular file");
  const auto vast = folder.path() / "vast.toml";
  write_file(vast, "");
  std::filesystem::resize_file(vast, std::uintmax_t{1} << 40);
  CHECK(complaint_about(vast) == "invalid_config: " + vast.string() +
                                     " has 1099511627776 bytes, at most 16777216 are allowed");
}

TEST_CASE("a text too large or too deep to be walked is refused") {
  std::string key = "a";
  for (int i = 0; i < 400000; ++i) key += ".a";
  CHECK(complaint("\n" + key + " = 1\n") ==
        "invalid_config: pins.toml:2:1: more than 256 dots in a line");
  CHECK(complaint("[" + key + "]\n") ==
        "invalid_config: pins.toml:1:1: more than 256 dots in a line");
  CHECK(complaint(std::string(20 << 20, '\n')) ==
        "invalid_config: pins.toml:1:1: 20971520 bytes, at most 16777216 are allowed");
  CHECK_THAT(complaint("a = " + std::string(100000, '[')),
             Catch::Matchers::StartsWith("invalid_config: pins.toml:1:"));
}

TEST_CASE("a text on which toml++ contradicts itself is an error") {
  for (const char* text : {"a = [}", "[.", "a = 1979-05-27true07:32:00.9"}) {
    INFO(text);
    CHECK_THAT(complaint(text), Catch::Matchers::StartsWith("invalid_config: pins.toml:1:"));
  }
}

TEST_CASE("random pieces of TOML are read or refused") {
  constexpr const char* pieces[] = {"[[schedule]]\n",
                                    "target",
                                    "=",
                                    "\"sm_90a\"",
                                    "\n",
                                    "when",
                                    "{",
                                    "}",
                                    "use",
                                    " ",
                                    "\"",
                                    ".",
                                    "[",
                                    "]",
                                    "'",
                                    "\\u00",
                                    "#",
                                    "1",
                                    "1979-05-27",
                                    "T07:32",
                                    "0x",
                                    "1e5",
                                    "nan",
                                    "true",
                                    ",",
                                    "\xc3",
                                    "\xff",
                                    "\r",
                                    "\x7f",
                                    "-"};
  std::mt19937 random(7);
  for (int i = 0; i < 20000; ++i) {
    std::string text = random() % 2 == 0 ? "a = " : "";
    for (auto count = random() % 12; count > 0; --count)
      text += pieces[random() % std::size(pieces)];
    const std::string result = complaint(text);
    INFO(text);
    REQUIRE((result == "nothing" || result.starts_with("invalid_config: pins.toml:")));
  }
}

TEST_CASE("a character beyond ASCII that is no part of a key is refused, whichever it is") {
  CHECK(complaint("tar\u00e4get = 1\n") ==
        "invalid_config: pins.toml:1:4: Error while parsing key-value pair: expected '=', saw "
        "'\u00e4'");
  for (const char* other : {"\u00a1", "\u0499", "\u2010", "\u3001", "\uffee"})
    CHECK_THAT(complaint(std::string("tar") + other + "get = 1\n"), contains_text("expected '='"));
}

TEST_CASE("control characters of a file do not reach a message") {
  CHECK(complaint("\"\\u001b[31m\" = 1\n") ==
        "invalid_config: pins.toml:1:1: unknown table \"\\x1b[31m\", known: schedule");
  for (int c = 1; c < 128; ++c) {
    const std::string result = complaint(std::string("a") + static_cast<char>(c) + "b = 1\n");
    INFO(result);
    CHECK(
        std::ranges::none_of(result, [](unsigned char byte) { return byte < 32 && byte != '\n'; }));
  }
}

TEST_CASE("a mistake in a table is an error with file, line and column") {
  CHECK_THAT(complaint("[[schedule]\n"),
             Catch::Matchers::StartsWith("invalid_config: pins.toml:1:12: "));
  CHECK(complaint("[[schedules]]\n") ==
        "invalid_config: pins.toml:1:3: unknown table \"schedules\", did you mean \"schedule\"?");
  CHECK(complaint("schedule = 1\n") ==
        "invalid_config: pins.toml:1:12: schedule is no [[schedule]]");
  CHECK(complaint("\n[[schedule]]\nuse = { family = \"flash_wgmma\" }\n") ==
        "invalid_config: pins.toml:2:1: the row has no target, such as \"sm_90a\"");
  CHECK(row_complaint("use = { tile_q = 128 }") ==
        "invalid_config: pins.toml:1:1: the row names no family, such as use = { family = "
        "\"flash_wgmma\" }");
  CHECK(complaint("[[schedule]]\ntarget = \"sm_90\"\n") ==
        "invalid_config: pins.toml:2:10: unknown target \"sm_90\", known: sm_80, sm_89, sm_90a, "
        "sm_100a, cpu");
  CHECK(complaint("[[schedule]]\ntarget = 90\n") ==
        "invalid_config: pins.toml:2:10: target is not a string");
  CHECK(row_complaint("wehn = {}") ==
        "invalid_config: pins.toml:3:1: unknown key \"wehn\", did you mean \"when\"?");
  CHECK(row_complaint("when = 3") == "invalid_config: pins.toml:3:8: when is not a table { ... }");
  CHECK(row_complaint("use = \"fast\"") ==
        "invalid_config: pins.toml:3:7: use is not a table { ... }");
}

TEST_CASE("a mistake in a condition is an error with its place") {
  CHECK(
      row_complaint("when = { hed_dim = 64 }") ==
      "invalid_config: pins.toml:3:10: unknown condition \"hed_dim\", did you mean \"head_dim\"?");
  CHECK(row_complaint("when = { op = \"sideways\" }") ==
        "invalid_config: pins.toml:3:15: unknown operation \"sideways\", known: forward, backward, "
        "append, merge");
  CHECK(row_complaint("when = { dtype = \"fp8\" }") ==
        "invalid_config: pins.toml:3:18: unknown element type \"fp8\", known: f16, bf16, f32, i32, "
        "u8");
  CHECK_THAT(
      row_complaint("when = { mask = \"k < q <\" }"),
      Catch::Matchers::StartsWith(
          "invalid_config: pins.toml:3:17: mask: comparisons are joined by &&\n  k < q <\n"));
  CHECK_THAT(row_complaint("when = { score = \"k <= q\" }"),
             Catch::Matchers::StartsWith("invalid_config: pins.toml:3:18: score: a score is a"));
  CHECK_THAT(row_complaint("when = { sink = \"1.0 +\" }"),
             contains_text("something is missing here\n  1.0 +\n"));
  for (const char* range : {"\"64\"", "\"..\"", "\"\"", "\"a..b\"", "\"128..64\"", "\"-1..5\"",
                            "\"1..2..3\"", "-5", "1.5", "true"}) {
    INFO(range);
    CHECK(row_complaint("when = { q_len = " + std::string(range) + " }") ==
          "invalid_config: pins.toml:3:18: q_len is not a number or a range such as \"64..128\", "
          "\"2048..\", "
          "\"..512\"");
  }
}

TEST_CASE("a mistake in a schedule is an error with its place") {
  CHECK(row_complaint("use = { family = \"flash\" }") ==
        "invalid_config: pins.toml:3:18: unknown family \"flash\"; there are decode_wgmma, "
        "flash_wgmma, backward_wgmma, cpu_tiled, cpu_backward, append_rows, cpu_append, "
        "merge_shares, cpu_merge");
  CHECK(row_complaint("use = { family = \"flash_wgmma\", tilekv = 1 }") ==
        "invalid_config: pins.toml:3:33: flash_wgmma has no knob \"tilekv\", did you mean "
        "\"tile_kv\"?");
  CHECK(row_complaint("use = { family = \"cpu_tiled\", ping_pong = true }") ==
        "invalid_config: pins.toml:3:31: cpu_tiled has no knob \"ping_pong\", known: tile_q, "
        "tile_kv");
  CHECK(row_complaint("use = { tile_kv = \"wide\", family = \"flash_wgmma\" }") ==
        "invalid_config: pins.toml:3:9: tile_kv is \"wide\", it needs a number in 0..2147483647");
  CHECK(row_complaint("use = { family = \"flash_wgmma\", tile_kv = 1.5 }") ==
        "invalid_config: pins.toml:3:43: tile_kv is not a number, a name, true or false");
}
