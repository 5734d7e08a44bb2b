// Every named mask with every named score: the table at the end of docs/masks.md, which the last
// test here writes. After a change that is meant: scripts/approve.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "compiler/expr/tile_policy.h"
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"
#include "tests/support/compositions.h"
#include "tests/unit/cpu_run.h"

using namespace streamattn;

namespace {

// Kinds of schedule, of which every mask gets all but where one splits keys.
constexpr const char* schedules_by_kind[] = {
    "tile_q=192,tile_kv=64,stages=2,math_warpgroups=3,ping_pong=true,q_in_registers=false,"
    "o_buffer=true,softmax=exact",
    "tile_q=128,tile_kv=112,stages=2,math_warpgroups=2,ping_pong=true,q_in_registers=true,"
    "o_buffer=true,softmax=stale",
    "tile_q=64,tile_kv=64,stages=3,math_warpgroups=1,ping_pong=false,q_in_registers=true,"
    "o_buffer=true,softmax=stale",
    "tile_q=128,tile_kv=48,stages=2,math_warpgroups=2,ping_pong=true,q_in_registers=false,"
    "o_buffer=false,softmax=stale"};
constexpr const char* splitting_schedule =
    "tile_q=128,tile_kv=64,stages=2,math_warpgroups=2,ping_pong=true,q_in_registers=true,"
    "o_buffer=false,softmax=stale,split_keys=true,splits=3";

/// A mask with a score, by their numbers, in a variation.
struct Composition {
  int mask, score;
  Variation variation;
};

// Each mask in all variations, each with another score, so that a score meets a seventh of the
// masks in each variation.
std::vector<Composition> emulated_compositions() {
  std::vector<Composition> all;
  const int masks = static_cast<int>(named_masks().size());
  const int scores = static_cast<int>(named_scores().size());
  for (int mask = 0; mask < masks; mask++)
    for (int variation = 0; variation < variation_count; variation++)
      all.push_back({mask, (mask + 3 * variation) % scores, static_cast<Variation>(variation)});
  return all;
}

ForwardCase case_of(const Composition& composition, bool has_tiles) {
  return composed_case(named_masks()[composition.mask], named_scores()[composition.score],
                       composition.variation, has_tiles);
}

Schedule schedule_of(const Composition& composition, const Problem& problem) {
  const bool splits = composition.variation == Variation::split_keys;
  const int kind =
      (composition.mask + static_cast<int>(composition.variation)) % std::size(schedules_by_kind);
  std::string knobs = splits ? splitting_schedule : schedules_by_kind[kind];
  // Data-dependent masks take lists of key tiles, or test all tiles.
  if (is_data_dependent(problem.mask))
    knobs += (composition.mask + static_cast<int>(composition.variation)) % 3 == 0
                 ? ",key_lists=false"
                 : ",key_lists=true";
  return parse_schedule(
      knobs,
      choose(Operation::forward, problem, {1, 16, 4096, 4096}, find_target("sm_90a")).schedule);
}

void check_emulated(Variation variation) {
  for (const Composition& composition : emulated_compositions()) {
    if (composition.variation != variation) continue;
    const ForwardCase given = case_of(composition, /*has_tiles=*/true);
    const Schedule schedule = schedule_of(composition, given.problem);
    INFO(given.describe());
    INFO(schedule.describe());
    const EmulatedKernel kernel(
        given.problem, {schedule, "composition"},
        emit(Operation::forward, given.problem, schedule, find_target("sm_90a")));
    const ForwardTensors tensors(given);
    kernel.emulate(tensors.args(), {.seed = static_cast<std::uint64_t>(composition.mask + 1)});
    check_result(given.problem, tensors.args(), tensors);
  }
}

/// The table of the page: what the emulator runs of every pair.
std::string table() {
  const std::vector<NamedExpr> masks = named_masks(), scores = named_scores();
  std::vector<std::vector<std::string>> cells(masks.size(),
                                              std::vector<std::string>(scores.size()));
  for (const Composition& c : emulated_compositions())
    cells[c.mask][c.score] += variation_letters[static_cast<int>(c.variation)];
  const auto code = [](std::string name) {
    for (std::size_t at = 0; (at = name.find('|', at)) != std::string::npos; at += 2)
      name.insert(at, "\\");
    return "`" + name + "`";
  };
  std::string text = "| |";
  for (const NamedExpr& score : scores) text += " " + code(score.name) + " |";
  text += "\n| --- |";
  for (std::size_t i = 0; i < scores.size(); i++) text += " --- |";
  for (std::size_t m = 0; m < masks.size(); m++) {
    text += "\n| " + code(masks[m].name) + " |";
    for (const std::string& cell : cells[m]) text += cell.empty() ? " |" : " " + cell + " |";
  }
  return text + "\n";
}

}  // namespace

TEST_CASE("the CPU agrees with float64 for every mask with every score in every variation") {
  for (const NamedExpr& mask : named_masks())
    for (const NamedExpr& score : named_scores())
      for (int variation = 0; variation < variation_count; variation++) {
        const ForwardCase given =
            composed_case(mask, score, static_cast<Variation>(variation), /*has_tiles=*/false);
        INFO(given.describe());
        const ForwardTensors tensors(given);
        run(given.problem, tensors.args());
        check_result(given.problem, tensors.args(), tensors);
      }
}

TEST_CASE("grouped heads agree with float64 for every mask") {
  check_emulated(Variation::grouped_heads);
}

TEST_CASE("split keys agree with float64 for every mask") { check_emulated(Variation::split_keys); }

TEST_CASE("positions far from zero agree with float64 for every mask") {
  check_emulated(Variation::offsets);
}

TEST_CASE("some rows of some keys agree with float64 for every mask") {
  check_emulated(Variation::sub_ranges);
}

TEST_CASE("queries in front of all keys agree with float64 for every mask") {
  check_emulated(Variation::empty_rows);
}

TEST_CASE("the page on masks has the table of what is run") {
  const std::string path = std::string(STREAMATTN_SOURCE_DIR) + "/docs/masks.md";
  const std::string mark = "<!-- composition table: written by a test -->\n";
  std::ifstream in(path);
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  const std::size_t place = page.find(mark);
  REQUIRE(place != std::string::npos);
  const std::string wanted = page.substr(0, place + mark.size()) + table();
  if (std::getenv("STREAMATTN_APPROVE") != nullptr) std::ofstream(path) << wanted;
  INFO("docs/masks.md differs; if that is meant, run scripts/approve and read the diff");
  std::ifstream again(path);
  CHECK(std::string(std::istreambuf_iterator<char>(again), {}) == wanted);
}
