// `streamattn explain`: what it says of masks, and its maps against brute force.
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "compiler/expr/evaluate.h"
#include "tests/support/tool_run.h"
#include "tools/explanation.h"
#include "tools/tile_drawing.h"

namespace streamattn {
namespace {

ToolRun explain(std::vector<std::string> args) {
  args.insert(args.begin(), "explain");
  return tool(args);
}

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Whether every element of an XML text is closed in turn, and nothing else stands in it that needs
/// an escape. Counts elements by name.
bool is_well_formed(const std::string& xml, std::map<std::string, int>& elements) {
  std::vector<std::string> open;
  for (std::size_t at = 0; at < xml.size();) {
    if (xml[at] != '<') {
      if (xml[at] == '>') return false;
      if (xml[at] == '&' && xml.find(';', at) > at + 6) return false;
      at++;
      continue;
    }
    const std::size_t end = xml.find('>', at);
    if (end == std::string::npos) return false;
    const std::string tag = xml.substr(at + 1, end - at - 1);
    if (std::ranges::count(tag, '"') % 2 != 0 || tag.find('<') != std::string::npos) return false;
    if (tag.front() == '/') {
      if (open.empty() || open.back() != tag.substr(1)) return false;
      open.pop_back();
    } else {
      const std::string name = tag.substr(0, tag.find_first_of(" /"));
      elements[name]++;
      if (tag.back() != '/') open.push_back(name);
    }
    at = end + 1;
  }
  return open.empty();
}

TEST_CASE("a causal window is explained from its text to its tiles") {
  const ToolRun outcome = explain({"--seq", "1024", "--heads", "2", "--mask",
                                   "k <= q && k > q - window", "--set", "window=300", "--schedule",
                                   "tile_kv=128,tile_q=128,math_warpgroups=2", "--width", "60"});
  INFO(outcome.out << outcome.err);
  CHECK(outcome.exit == Exit::ok);
  CHECK(
      outcome.says("mask      k <= q && k > q - window\n"
                   "score     score\n"
                   "sink      none\n"
                   "name      window: i32, 300\n"
                   "shape     batch 1, heads 2, kv_heads 2, q_len 1024, kv_len 1024\n"));
  CHECK(outcome.says(
      "seen      [q_first + 1 - window, q_end)\n"
      "full      [q_end - window, q_first + 1)\n"
      "data      do not decide: the ranges do\n"
      "elements  are tested in partial tiles alone: the ranges of a query are exact\n"));
  CHECK(outcome.says("target    sm_90a\nfamily    flash_wgmma\nschedule  flash_wgmma: tile_q 128"));
  CHECK(outcome.says(", changed by --schedule\nkernels   streamattn_forward: 384 threads, "));
  CHECK(outcome.says("  sm_90a  flash_wgmma: serves it\n  sm_90a  cpu_tiled: sm_90a is a GPU\n"));
  CHECK(outcome.says("  cpu     flash_wgmma: cpu has no wgmma instructions\n"));
  // Row i sees min(i + 1, 300) keys.
  CHECK(
      outcome.says("pairs     524,700 of 2,097,152 are visible, 25.02 %\n"
                   "FLOP      2.6865e+08\n"
                   "tiles     14 full, 38 partial, 76 skipped, of 128 x 128\n"
                   "visited   40.62 % of all tiles\n"));
  CHECK(
      outcome.says("map of batch 0, head 0: queries go down, keys to the right, a character is\n"
                   "a tile of 128 x 128: # full  + partial  . skipped\n"
                   "\n"
                   "    q \\ k 0   1023\n"
                   "        0 +.......\n"
                   "          #+......\n"
                   "          +#+.....\n"
                   "          ++#+....\n"
                   "      512 .++#+...\n"
                   "          ..++#+..\n"
                   "          ...++#+.\n"
                   "          ....++#+\n"));
}

TEST_CASE("parts of a mask that no range describes come with a reason") {
  const auto reason_of = [](const char* mask) {
    const std::vector<OpenPart> parts = open_parts(Expr::parse(mask));
    REQUIRE(parts.size() == 1);
    return parts.front().reason;
  };
  CHECK(reason_of("k <= q && (q - k) % 3 == 0") == "a remainder of the key decides");
  CHECK(reason_of("k < 4 || doc[batch, q] == doc[batch, k]") ==
        "an element of doc that depends on the key decides");
  CHECK(reason_of("bit(flags[q], k)") == "a bit that depends on the key decides");
  CHECK(reason_of("0.5 * k <= q") == "reals are compared");
  CHECK(reason_of("k * k <= q") == "it is not linear in the key");
  for (const char* mask :
       {"true", "k <= q", "k < length[batch, q]", "q // 64 == k // 64", "k < 4 || k > q - 8"})
    CHECK(open_parts(Expr::parse(mask)).empty());
}

TEST_CASE("where data decide, tiles are told by elements, unless the schedule does not ask them") {
  std::vector<std::string> args = {"--seq",    "512",           "--heads",
                                   "1",        "--mask",        "doc[batch, q] == doc[batch, k]",
                                   "--tensor", "doc=constant:1"};
  const ToolRun listed = explain(args);
  INFO(listed.out << listed.err);
  CHECK(listed.says("name      doc: i32, 2 indices, constant:1\n"));
  CHECK(listed.says("data      decide which of these tiles are seen"));
  CHECK(
      listed.says("elements  are tested wherever keys are seen and not full:\n"
                  "            doc[batch, q] == doc[batch, k]: an element of doc that depends"));
  CHECK(listed.says("kernels   streamattn_tile_bounds: "));
  CHECK(listed.says(" full, 0 partial, 0 skipped"));
  args.insert(args.end(), {"--schedule", "key_lists=false"});
  const ToolRun plain = explain(args);
  CHECK(plain.says("data      decide which of these keys are seen, but the schedule visits"));
  CHECK(plain.says("tiles     0 full, "));
  CHECK(plain.says("visited   100.00 % of all tiles\n"));
}

TEST_CASE("a problem that nobody serves is explained all the same, and exits with 3") {
  const ToolRun outcome = explain({"--dtype", "f32"});
  CHECK(outcome.exit == Exit::unsupported);
  CHECK(outcome.says("family    none serves the problem on this target\n"));
  CHECK(outcome.says("  sm_90a  flash_wgmma: dtype f32: wgmma takes f16 and bf16\n"));
  CHECK(outcome.says("  cpu     cpu_tiled: serves it\n"));
  CHECK(explain({"--dtype", "f32", "--target", "cpu"}).says("kernels   part of the library\n"));
}

TEST_CASE("explain refuses what it cannot show") {
  const auto complaint = [](const std::vector<std::string>& args) {
    const ToolRun outcome = explain(args);
    CHECK(outcome.exit == Exit::usage);
    CHECK(outcome.out.empty());
    return outcome.err;
  };
  CHECK_THAT(complaint({"--mask", "k < n"}), contains_text("--set n=X is missing"));
  CHECK_THAT(complaint({"--map-head", "8"}), contains_text("--map-head 8 is not one of 8"));
  CHECK_THAT(complaint({"--map-batch", "-1"}), contains_text("--map-batch -1 is not one of 1"));
  CHECK_THAT(complaint({"--width", "10"}), contains_text("--width 10 is not in 32..400"));
  CHECK_THAT(complaint({"--svg", "/nonexistent/map.svg"}),
             contains_text("cannot write /nonexistent/map.svg"));
  CHECK_THAT(complaint({"--q-rows", "0:9999"}), contains_text("invalid_argument"));
  CHECK_THAT(complaint({"--schedule", "stages=100"}), contains_text("invalid_schedule"));
}

/// A random call, small, with its mask.
ForwardCase random_case(const char* mask, std::mt19937& random) {
  const auto number = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  ForwardCase call{.problem = {.head_dim = 16, .group_size = 2, .mask = Expr::parse(mask)},
                   .shape = {number(1, 2), number(1, 2), number(1, 90), number(1, 90)},
                   .k_offset = number(0, 5),
                   .scalars = {}};
  for (const ExprName& scalar : ExprNames(call.problem).scalars)
    call.scalars.push_back({scalar.name, static_cast<double>(number(1, 30))});
  if (number(0, 1) == 1 || call.shape.q_len > call.shape.kv_len) call.q_offset = number(0, 60);
  if (number(0, 1) == 1) call.kv_rows = Rows{number(0, 9), call.shape.kv_len};
  if (call.kv_rows && call.kv_rows->begin > call.kv_rows->end) call.kv_rows.reset();
  return call;
}

TEST_CASE("counts of tiles and pairs agree with every pair") {
  std::mt19937 random(11);
  for (const char* mask :
       {"true", "k <= q", "k <= q && k > q - n", "k <= q && (k < 3 || k > q - n)",
        "q // 16 == k // 16", "k < length[batch]", "k <= q + head", "false",
        "k <= q && doc[batch, q] == doc[batch, k]", "bit(words[head, q, k // 32], k % 32)"}) {
    for (int trial = 0; trial < 20; trial++) {
      const ForwardCase given = random_case(mask, random);
      INFO(given.describe());
      const MaskedCall masked(given);
      const ForwardCall& call = masked.call();
      const TileWalk sides = {trial % 2 == 0 ? 16 : 11, 8};
      const HeadIndex drawn = {call.batch() - 1, call.heads() - 1};
      const TileMap map(masked, sides, true, drawn, 1e9);
      CallEvaluator<float> evaluator(masked.exprs(), call);
      double full = 0, partial = 0, pairs = 0;
      for (std::int64_t batch = 0; batch < call.batch(); batch++) {
        for (std::int64_t head = 0; head < call.heads(); head++) {
          const bool is_drawn = batch == drawn.batch && head == drawn.head;
          for (std::int64_t q_tile = 0; q_tile < map.q_tiles; q_tile++) {
            for (std::int64_t tile = 0; tile < map.kv_tiles; tile++) {
              std::int64_t seen = 0, all = 0;
              for (std::int64_t q = q_tile * sides.rows;
                   q < std::min((q_tile + 1) * sides.rows, call.q_len()); q++) {
                for (std::int64_t k = tile * sides.keys;
                     k < std::min((tile + 1) * sides.keys, call.kv_len()); k++) {
                  std::uint8_t sees = 0;
                  evaluator.see({batch, head, q}, k, 1, &sees);
                  seen += sees, all++;
                }
              }
              pairs += static_cast<double>(seen);
              full += seen == all ? 1 : 0;
              partial += seen > 0 && seen < all ? 1 : 0;
              if (!is_drawn) continue;
              const TileRow& row = map.rows[q_tile];
              CHECK(row.q_tile == q_tile);
              CHECK(row.full.contains({tile, tile + 1}) == (seen == all));
              CHECK(row.partial.contains({tile, tile + 1}) == (seen > 0 && seen < all));
            }
          }
        }
      }
      CHECK(map.counts.full == Approx(full));
      CHECK(map.counts.partial == Approx(partial));
      CHECK(map.counts.all ==
            static_cast<double>(call.batch() * call.heads() * map.q_tiles * map.kv_tiles));
      CHECK_FALSE(map.is_estimate);
      CHECK(visible_pairs(given).number == Approx(pairs));
    }
  }
}

TEST_CASE("tiles of heads that share keys are counted once, and meet what their sequence sees") {
  std::mt19937 random(5);
  for (const char* mask : {"true", "k <= q", "k <= q && k > q - n"}) {
    for (int trial = 0; trial < 20; trial++) {
      const ForwardCase given = random_case(mask, random);
      INFO(given.describe());
      const MaskedCall masked(given);
      const ForwardCall& call = masked.call();
      const TileWalk walk = {.rows = 7, .keys = 8, .heads = 2, .is_of_sequence = true};
      const TileMap map(masked, walk, false, {}, 1e9);
      CallEvaluator<float> evaluator(masked.exprs(), call);
      double full = 0, partial = 0;
      for (std::int64_t row = 0; row < 2 * call.q_len(); row += walk.rows) {
        for (std::int64_t k = 0; k < call.kv_len(); k += walk.keys) {
          bool some = false, all = true;
          for (std::int64_t q = 0; q < call.q_len(); q++) {
            const bool is_own = 2 * q + 1 >= row && 2 * q < row + walk.rows;
            for (std::int64_t key = k; key < std::min(k + walk.keys, call.kv_len()); key++) {
              std::uint8_t sees = 0;
              evaluator.see({0, 0, q}, key, 1, &sees);
              some = some || sees != 0;
              all = all && (sees != 0 || !is_own);
            }
          }
          full += all, partial += some && !all;
        }
      }
      const auto groups = static_cast<double>(call.batch() * call.kv_heads());
      CHECK(map.counts.full == groups * full);
      CHECK(map.counts.partial == groups * partial);
    }
  }
  const ToolRun decode =
      explain({"--q-len", "4", "--seq", "4096", "--heads", "32", "--kv-heads", "8", "--causal"});
  CHECK(decode.says("family    decode_wgmma\n"));
  CHECK(decode.says(
      "tiles     504 full, 8 partial, 0 skipped, of 16 x 64, rows of 4 heads together"));
  CHECK(decode.says("map of batch 0, heads 0 to 3: "));
}

TEST_CASE("a family that does not work in tiles is explained without them") {
  const ToolRun backward = explain({"--op", "backward", "--seq", "512"});
  CHECK(backward.exit == Exit::ok);
  CHECK(backward.says("family    backward_wgmma\n"));
  CHECK_FALSE(backward.says("tiles  "));
}

TEST_CASE("of too much, evenly spaced rows stand for all") {
  const ForwardCase given{.problem = {.mask = Expr::parse("kind[k] == 1 || k <= q")},
                          .shape = {1, 64, 4096, 512},
                          .tensors = {{"kind", InputKind::constant, 0}}};
  const MaskedCall masked(given);
  const TileMap all(masked, {16, 16}, true, {}, 1e9), some(masked, {16, 16}, true, {}, 2e5);
  CHECK_FALSE(all.is_estimate);
  CHECK(all.rows.size() == 256);
  CHECK(some.is_estimate);
  CHECK(some.rows.size() >= 32);
  CHECK(some.rows.size() < 256);
  CHECK(some.counts.all == all.counts.all);
  CHECK(some.counts.full == Approx(all.counts.full).epsilon(0.05));
  std::string text;
  llvm::raw_string_ostream out(text);
  draw_text(some, 80, out);
  CHECK(out.str().find("16 x 16") != std::string::npos);
}

TEST_CASE("a grid is no larger than it may be, and mixed cells are partial") {
  const MaskedCall masked({.problem = {.mask = causal()}, .shape = {1, 1, 1000, 1000}});
  const TileMap map(masked, {10, 10}, false, {}, 1e9);
  const TileGrid grid(map, 30, 12);
  CHECK(grid.q_tiles == 4);
  CHECK(grid.kv_tiles == 9);
  CHECK(grid.rows == 25);
  CHECK(grid.columns == 12);
  CHECK(grid.at(0, 0) == Cell::partial);
  CHECK(grid.at(24, 0) == Cell::full);
  CHECK(grid.at(0, 11) == Cell::skipped);
  const TileGrid whole(map, 1000, 1000);
  CHECK(std::ranges::count(whole.cells, Cell::partial) == 100);
  CHECK(std::ranges::count(whole.cells, Cell::full) == 4950);
}

TEST_CASE("the drawing is well-formed, and has a cell for each tile that is visited") {
  const std::string path = (std::filesystem::temp_directory_path() /
                            ("explain-" + std::to_string(std::random_device()())))
                               .string();
  const ToolRun outcome =
      explain({"--seq", "1024", "--heads", "1", "--mask", "k <= q && k > q - 300", "--schedule",
               "tile_kv=128,tile_q=128,stages=2,math_warpgroups=2", "--svg", path});
  CHECK(outcome.exit == Exit::ok);
  const std::string svg = file_text(path);
  std::filesystem::remove(path);
  std::map<std::string, int> elements;
  CHECK(is_well_formed(svg, elements));
  CHECK(elements["svg"] == 1);
  CHECK(elements["title"] == 1);
  // Beside 26 tiles: two backgrounds, a frame and three colours of the legend.
  CHECK(elements["rect"] == 26 + 6);
  for (const char* text :
       {"<title>k &lt;= q &amp;&amp; k &gt;= q - 299</title>", ">position of the key, k<",
        ">position of the query, q<", ">full: every pair is seen (7 tiles of all heads)<",
        ">partial: elements are tested (19 tiles of all heads)<",
        ">skipped: never visited (38 tiles of all heads)<"})
    CHECK(svg.find(text) != std::string::npos);

  std::string empty;
  llvm::raw_string_ostream out(empty);
  const MaskedCall nothing({.problem = {}, .shape = {1, 1, 0, 5}});
  draw_svg(TileMap(nothing, {16, 16}, false, {}, 1e9), "a < b", out);
  CHECK(is_well_formed(out.str(), elements));
}

TEST_CASE("as JSON an explanation has all that its text has") {
  const ToolRun outcome =
      explain({"--seq", "512", "--heads", "2", "--mask", "k <= q && (q - k) % n == 0", "--set",
               "n=2", "--target", "cpu", "--json"});
  auto value = llvm::json::parse(outcome.out);
  if (!value) FAIL(llvm::toString(value.takeError()));
  const llvm::json::Object& json = *value->getAsObject();
  CHECK(json.getObject("problem")->getString("mask") == "k <= q && (q - k) % n == 0");
  CHECK((*json.getArray("names"))[0].getAsObject()->getString("type") == "i32");
  CHECK((*json.getArray("seen"))[0].getAsString() == "[-inf, q_end)");
  CHECK(json.getArray("full")->empty());
  CHECK(json.getBoolean("data_decide") == false);
  CHECK((*json.getArray("tested_elements"))[0].getAsObject()->getString("reason") ==
        "a remainder of the key decides");
  CHECK(json.getString("family") == "cpu_tiled");
  CHECK(json.getString("reason") == "first guess of cpu_tiled");
  CHECK(json.getArray("kernels")->empty());
  CHECK(json.getNumber("visible_pairs") == 2.0 * 256 * 257);
  CHECK(json.getBoolean("pairs_estimated") == false);
  const llvm::json::Object& tiles = *json.getObject("tiles");
  CHECK(tiles.getInteger("tile_q") == 96);
  CHECK(tiles.getNumber("full") == 0.0);
  CHECK(tiles.getNumber("all") == 24.0);
  CHECK(tiles.getObject("map")->getArray("rows")->size() == 6);
}

}  // namespace
}  // namespace streamattn
