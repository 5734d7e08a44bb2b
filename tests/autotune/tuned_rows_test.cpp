// Decisions as rows: what they hold for, that a table reads them, block lists.
#include "autotune/tuned_rows.h"

#include <cstdlib>

#include "autotune/block_list.h"
#include "compiler/schedule_rows.h"
#include "streamattn/compiler.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

namespace streamattn {
namespace {

const Target& hopper = find_target("sm_90a");
const TuneSite h200{"NVIDIA H200",
                    {.driver = "580.159", .nvrtc = "13.0", .l2 = "cold", .launch = "eager"}};

const Schedule wide =
    parse_schedule("family=flash_wgmma,tile_q=128,tile_kv=160,math_warpgroups=2,softmax=stale");
const Schedule narrow = parse_schedule("tile_kv=80", wide);

GroupResult won(const Schedule& schedule, const Lengths& lengths, std::int64_t batch = 8) {
  TuneGroup group;
  group.call.problem.mask = causal();
  group.call.shape = {batch, 16, lengths.last, lengths.last};
  group.shapes = {group.call.shape};
  group.q_len = group.kv_len = lengths;
  GroupResult result{.group = group};
  result.decision = Decision{.winner = schedule,
                             .microseconds = {206.25},
                             .spread = 0.004,
                             .noise = 0.001,
                             .gain = 1.21,
                             .first_guess = narrow};
  return result;
}

CandidateRecord candidate(const Schedule& schedule, const Outcome& outcome, const char* stage) {
  CandidateRecord record;
  record.schedule = schedule, record.outcome = outcome, record.stage = stage;
  return record;
}

TEST_CASE("a row is read back as what was decided, with all that its tuner knows") {
  const auto rows = tuned_rows({won(wide, {2048, 2048})}, hopper);
  const std::string text = rows_toml(rows, h200, hopper);
  const ScheduleTable table = ScheduleTable::parse(text, "tuned.toml");
  Problem problem{.mask = causal()};
  const auto match = table.find(Operation::forward, problem, {8, 16, 2048, 2048}, hopper);
  REQUIRE(match);
  CHECK(match->schedule == wide);
  CHECK(match->device == "NVIDIA H200");
  const TuningRecord& record = match->record;
  CHECK(record.timed.driver == "580.159");
  CHECK(record.timed.l2 == "cold");
  CHECK(record.shapes == std::vector<std::string>{"8 x 16 x 2048 x 2048"});
  CHECK(record.microseconds == std::vector<double>{206.25});
  CHECK(record.gain == 1.21);
  CHECK(record.spread == 0.004);
  // Beyond what was shown: another length, another problem, a card that is not full.
  CHECK_FALSE(table.find(Operation::forward, problem, {8, 16, 2049, 2049}, hopper));
  CHECK_FALSE(table.find(Operation::forward, problem, {1, 1, 2048, 2048}, hopper));
  problem.group_size = 2;
  CHECK_FALSE(table.find(Operation::forward, problem, {8, 8, 2048, 2048}, hopper));
}

TEST_CASE("neighbours in length with one winner share a row, others do not") {
  const auto rows = tuned_rows({won(wide, {513, 1024}, 16), won(wide, {1025, 2048}),
                                won(narrow, {2049, 4096}), won(wide, {4097, 8192})},
                               hopper);
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].group.q_len == Lengths{513, 2048});
  CHECK(rows[0].group.shapes.size() == 2);
  CHECK(rows[0].decision.microseconds.size() == 2);
  CHECK(rows[1].group.q_len == Lengths{2049, 4096});
  // Other lengths, but many waves on one side and less than one on the other.
  CHECK(tuned_rows({won(wide, {1024, 1024}, 16), won(wide, {2048, 2048}, 1)}, hopper).size() == 2);
}

TEST_CASE("tiles count alike where they make as many waves") {
  const Problem problem;
  const auto range = [&](std::int64_t batch) {
    return tiles_like(problem, {{batch, 1, 128, 128}}, hopper);
  };
  CHECK(range(10) == Lengths{0, 66});
  CHECK(range(67) == Lengths{67, 132});
  CHECK(range(264) == Lengths{133, 264});
  CHECK(range(500).first == 265);
  CHECK(range(529) == range(100'000));
}

TEST_CASE("rows of another device are passed over where the device is known") {
  const std::string text = rows_toml(tuned_rows({won(wide, {2048, 2048})}, hopper), h200, hopper);
  const ScheduleTable table = ScheduleTable::parse(text, "tuned.toml");
  const Problem problem{.mask = causal()};
  const Shape shape{8, 16, 2048, 2048};
  const auto choice = [&](std::string_view device) {
    return choose(Operation::forward, problem, shape, hopper, table, device).reason;
  };
  CHECK_THAT(choice("NVIDIA H200"), contains_text("row tuned.toml:3, tuned on NVIDIA H200"));
  CHECK(choice("NVIDIA H100") == "first guess of flash_wgmma");
  CHECK_THAT(choice(""), contains_text("tuned on NVIDIA H200"));
}

TEST_CASE("a record that is wrong is an error with its place") {
  const auto complaint = [](const std::string& from) {
    return error_of([&] {
      ScheduleTable::parse(
          "[[schedule]]\ntarget = \"cpu\"\nuse = { family = \"cpu_tiled\" }\nfrom = " + from + "\n",
          "t.toml");
    });
  };
  CHECK(complaint("{ us = [1.5], shapes = [\"1 x 1 x 1 x 1\"] }") == "nothing");
  CHECK_THAT(complaint("{ gian = 1 }"),
             contains_text("t.toml:4:10: unknown record \"gian\", did you mean \"gain\"?"));
  CHECK_THAT(complaint("{ us = [1.5] }"), contains_text("t.toml:4:8: 0 shapes have 1 times"));
  CHECK_THAT(complaint("{ gain = \"much\" }"), contains_text("gain is not a number"));
  CHECK_THAT(complaint("{ shapes = 1 }"), contains_text("shapes is not a list"));
}

TEST_CASE("what was wrong goes to the block list, with a command that shows it, and comes back") {
  GroupResult result = won(wide, {2048, 2048});
  result.candidates.push_back(candidate(wide, {}, "final"));
  result.candidates.push_back(
      candidate(narrow, {Fate::wrong, "the error of \"O\"\nis large"}, "built"));
  result.candidates.push_back(
      candidate(parse_schedule("tile_kv=64", wide), {Fate::refused, "too large"}, "listed"));
  const auto list = blocked_by({result}, h200);
  REQUIRE(list.size() == 1);
  CHECK(list[0].reproduce ==
        "streamattn run --dtype bf16 --out-dtype bf16 --head-dim 128 --value-head-dim 128 --heads "
        "16 --kv-heads 16 --batch 8 --q-len 2048 --kv-len 2048 --mask 'k <= q' --score 'score' "
        "--seed 1 --schedule 'family=flash_wgmma,tile_q=128,tile_kv=80,softmax=stale'");
  const auto read = parse_block_list(block_list_toml(list), "block.toml");
  REQUIRE(read.size() == 1);
  CHECK(read[0].reason == "wrong: the error of \"O\"\nis large");
  const Problem& problem = result.group.call.problem;
  CHECK(why_blocked(read, "NVIDIA H200", problem, narrow) == read[0].reason);
  // Launch knobs do not make it another kernel.
  CHECK(why_blocked(read, "NVIDIA H200", problem, parse_schedule("section_heads=4", narrow)) ==
        read[0].reason);
  CHECK(why_blocked(read, "NVIDIA H100", problem, narrow).empty());
  CHECK(why_blocked(read, "NVIDIA H200", problem, wide).empty());
  CHECK_THAT(error_of([] { parse_block_list("[[blocked]]\ndevice = 1\n", "b.toml"); }),
             contains_text("b.toml:1:1: device is missing, or no string"));
  CHECK_THAT(error_of([] { parse_block_list("x = 1\n", "b.toml"); }),
             contains_text("a block list has [[blocked]] and nothing else"));
}

TEST_CASE("the command of a block list runs the call that failed, with all that it has") {
  GroupResult result = won(parse_schedule("family=cpu_tiled,tile_q=32,tile_kv=64"), {300, 300});
  ForwardCase& call = result.group.call;
  call.problem = {.dtype = DType::f32,
                  .head_dim = 32,
                  .mask = Expr::parse("q - k < window && doc[batch, q] == doc[batch, k]"),
                  .sink = Expr::parse("0.125", ExprRole::score)};
  call.scalars = {{"window", 48}};
  call.tensors = {{.name = "doc", .kind = InputKind::documents, .number = 70}};
  call.layout = Layout::bhsd;
  ForwardCase odd = call;
  odd.shape = {2, 3, 7, 301};
  odd.distribution = Distribution::outliers;
  odd.seed = 5;
  result.candidates.push_back(candidate(result.decision->winner, {Fate::wrong, "off"}, "built"));
  result.candidates.back().failed_check = odd;
  const std::string command = blocked_by({result}, h200).front().reproduce;
  CHECK_THAT(command,
             contains_text("--heads 3 --kv-heads 3 --batch 2 --q-len 7 --kv-len 301 --mask"));
  CHECK_THAT(command, contains_text("--sink '0.125' --set 'window = 48' --tensor 'doc = "
                                    "documents:70' --layout bhsd --dist outliers --seed 5 "));
  const std::string arguments = command.substr(std::string("streamattn").size());
  CHECK(std::system((STREAMATTN_TOOL + arguments + " --target cpu > /dev/null").c_str()) == 0);
}

}  // namespace
}  // namespace streamattn
