// Faults planted in the device code of masks, scores and sinks: each is reported, or changes what
// some call gives.
#include <algorithm>
#include <string>
#include <vector>

#include "compiler/expr/names.h"
#include "streamattn/error.h"
#include "streamattn/masks.h"
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"

using namespace streamattn;

namespace {

constexpr const char *listing = "forward/key_lists.cuh", *list = "parts/key_list.cuh",
                     *scores = "parts/scores.cuh", *expressions = "parts/expressions.cuh",
                     *consumer = "forward/flash_consumer.cuh", *softmax = "parts/softmax.cuh",
                     *sequence = "parts/sequence.cuh", *flash = "forward/flash_wgmma.cuh";

constexpr const char* two_warpgroups =
    "tile_q=128,tile_kv=64,stages=2,math_warpgroups=2,ping_pong=true,q_in_registers=true,"
    "o_buffer=true,split_keys=false,softmax=stale";
constexpr const char* one_warpgroup =
    "tile_q=64,tile_kv=32,stages=3,math_warpgroups=1,ping_pong=false,q_in_registers=true,"
    "o_buffer=true,split_keys=false,softmax=stale";
constexpr const char* shares =
    "tile_q=128,tile_kv=64,stages=2,math_warpgroups=2,ping_pong=true,q_in_registers=false,"
    "o_buffer=false,split_keys=true,softmax=stale,splits=3";

/// A fault, and a call that it spoils.
struct Planted {
  const char* what;
  Fault fault;
  ForwardCase given;
  const char* knobs = two_warpgroups;
  const char* cause = "";  ///< part of the report; empty: any report, or a wrong result
};

ForwardCase masked(const char* mask, Shape shape = {2, 1, 200, 330}) {
  return {.problem = {.head_dim = 64, .mask = Expr::parse(mask)},
          .shape = shape,
          .q_offset = std::max<std::int64_t>(0, shape.kv_len - shape.q_len)};
}

ForwardCase scored(const Expr& score, const std::vector<NamedNumber>& scalars = {}) {
  return {.problem = {.head_dim = 64, .mask = causal(), .score = score},
          .shape = {1, 2, 140, 200},
          .q_offset = 60,
          .scalars = scalars};
}

ForwardCase sunk(const char* sink, const std::vector<NamedNumber>& scalars = {}) {
  return {.problem = {.head_dim = 64, .mask = causal(), .sink = Expr::parse(sink, ExprRole::score)},
          .shape = {1, 2, 140, 300},
          .q_offset = 100,
          .scalars = scalars};
}

ForwardCase with_scalars(ForwardCase given, const std::vector<NamedNumber>& scalars) {
  given.scalars = scalars;
  return given;
}

ForwardCase with_tensors(ForwardCase given, const std::vector<NamedInput>& tensors) {
  given.tensors = tensors;
  return given;
}

/// One document.
ForwardCase whole(Shape shape, const char* mask = "k <= q && doc[batch, q] == doc[batch, k]") {
  return with_tensors(masked(mask, shape), {{"doc", InputKind::constant}});
}

ForwardCase documents(double length, Shape shape = {2, 1, 200, 330}) {
  return with_tensors(masked("k <= q && doc[batch, q] == doc[batch, k]", shape),
                      {{"doc", InputKind::documents, length}});
}

/// Tiles of 64 rows and keys, of which four in ten are seen.
ForwardCase blocks() {
  return with_tensors(masked("blocks:u8[batch, head, q // 64, k // 64]", {2, 3, 200, 330}),
                      {{"blocks", InputKind::bits, 0.4}});
}

/// Rows that see all of 64 keys or none.
ForwardCase rows() { return masked("row:u8[q, k // 64]"); }

/// Elements of which half of the tiles have some.
ForwardCase bits() {
  return with_tensors(masked("bit(word[q // 4, k // 96], k // 3 % 32)"),
                      {{"word", InputKind::bits, 0.002}});
}

/// What the emulator says, as report_of().
std::string report_of(const Planted& planted) {
  const std::string text = faulty_text(planted.fault);
  const Problem& problem = planted.given.problem;
  const Target& target = find_target("sm_90a");
  const Schedule schedule = parse_schedule(
      planted.knobs, choose(Operation::forward, problem, {1, 8, 4096, 4096}, target).schedule);
  const EmbeddedFile instead[] = {{planted.fault.file, text}};
  const EmulatedKernel kernel(problem, {schedule, "test"},
                              emit(Operation::forward, problem, schedule, target), instead);
  const ForwardTensors tensors(planted.given);
  try {
    kernel.emulate(tensors.args(), {.slice_seconds = 0.5});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::launch_failed) throw;
    return error.what();
  }
  const Errors errors = errors_of(problem, tensors.args(), all_rows(tensors.args()));
  return errors.ok() ? "nothing" : "wrong result";
}

void check_noticed(const std::vector<Planted>& faults) {
  for (const Planted& planted : faults) {
    INFO(planted.what);
    const std::string report = report_of(planted);
    CHECK(report != "nothing");
    CHECK_THAT(report, contains_text(planted.cause));
  }
}

}  // namespace

TEST_CASE("faults in the kernels that list key tiles are noticed") {
  check_noticed({
      {"bounds are those of half a warp", {listing, "lanes = 16;", "lanes = 8;"}, documents(9)},
      {"bounds leave out the last keys of a tile",
       {listing, "end = min(begin + size,", "end = min(begin + size - 9,"},
       documents(9)},
      {"bounds are of rows, not of positions",
       {listing, "seq.q_position + at", "at"},
       documents(40)},
      {"the upper bound is the lower one",
       {listing, "2 * place + 1, found.high", "2 * place + 1, found.low"},
       documents(40)},
      {"bounds are those of the first batch entry",
       {listing, "Interval found = bound(owner(list)", "Interval found = bound(owner(0)"},
       with_tensors(masked("place[batch, k // 64] == q // 64"),
                    {{"place", InputKind::random, 5.0}})},
      {"a tile that may be seen is full",
       {listing, "values.sees_all(q, k", "values.can_see(q, k"},
       documents(40)},
      {"a tile with keys that do not exist is full",
       {listing, "(tile + 1) * Spec::tile_kv <= seq.kv_len", "true"},
       with_tensors(masked("doc[batch, q] == doc[batch, k]"), {{"doc", InputKind::constant}})},
      {"warps write over the entries of those in front",
       {listing, "if (i < warp) in_front += here;", ""},
       whole({1, 1, 70, 1500}),
       one_warpgroup},
      {"a list's second chunk begins at its start",
       {listing, "count += total;", "count = total;"},
       with_tensors(masked("doc[batch, q] == doc[batch, k]", {1, 1, 20, 8300}),
                    {{"doc", InputKind::constant}}),
       one_warpgroup},
      {"counts are read before they are written",
       {listing, "__syncthreads();\n    int in_front", "int in_front"},
       documents(40),
       two_warpgroups,
       "shared address"},
      {"counts are overwritten while they are read",
       {listing, "    __syncthreads();\n    return in_front;", "    return in_front;"},
       documents(500, {1, 1, 20, 8300}),
       one_warpgroup,
       "shared address"},
      {"lists do not wait for bounds",
       {listing, "  dependency_wait();\n", ""},
       documents(40),
       two_warpgroups,
       "no thread has called dependency_wait"},
      {"attention does not wait for lists",
       {flash, "  dependency_wait();\n", ""},
       documents(40),
       two_warpgroups,
       "no thread has called dependency_wait"},
      {"every thread writes the count",
       {listing, "if (threadIdx.x != 0) return;\n", ""},
       documents(40),
       two_warpgroups,
       "key lists"},
      {"batch entries and heads are swapped",
       {listing, "list % heads, list / heads", "list / heads, list % heads"},
       blocks()},
      {"hidden elements are not looked for", {listing, "hidden = hidden || !keep;", ""}, bits()},
      {"the search ends with the first row that sees a key",
       {listing, "(!some || all)", "!some"},
       rows()},
      {"half of the keys are searched", {listing, "key += 32)", "key += 64)"}, bits()},
      {"elements of the first warpgroup's rows decide",
       {listing, "Span q = queries(seq, item, part);", "Span q = queries(seq, item, 0);"},
       bits()},
  });
}

TEST_CASE("faults in the walk over lists are noticed") {
  check_noticed({
      {"all batch entries take the first one's lists",
       {list, "params.batches > 1 ? item.batch : 0", "0"},
       documents(40)},
      {"all heads take the first one's lists",
       {list, "params.heads > 1 ? item.head : 0", "0"},
       blocks()},
      {"entries begin with the count",
       {list, "(const u32*)list + 1 + first", "(const u32*)list + first"},
       documents(40)},
      {"full tiles are those that are not seen",
       {list, "!= TileKind::full", "== TileKind::none"},
       documents(40)},
      {"the kind of a tile is that of the first warpgroup",
       {list, "bits >> 2 * warpgroup & 3", "bits & 3"},
       documents(40)},
      {"the last entry is left out",
       {list, "left = end - first;", "left = end - first - 1;"},
       documents(40)},
      {"shares leave out a remainder",
       {list, "end / shares * s + end % shares * s / shares", "end / shares * s"},
       documents(500, {1, 1, 70, 700}),
       shares},
      {"a share without tiles takes the first one",
       {list, "ListEntry::of(params.key_tiles,", "ListEntry::of(0,"},
       documents(500, {1, 1, 70, 70}),
       shares},
      {"the end of the work is a share",
       {consumer, "max(more - 1, 0)", "more - 1"},
       whole({1, 1, 70, 700}),
       shares,
       "of key lists, which is in front of it"},
  });
}

TEST_CASE("faults in ranges that may be in any order are noticed") {
  const ForwardCase any_order =
      with_scalars(masked("k < first || k > q - 40 && k <= q"), {{"first", 70}});
  check_noticed({
      {"the first range comes last",
       {scores, "ranges[j].end > ranges[i].end ||", "ranges[j].end < ranges[i].end ||"},
       any_order},
      {"a full range ends with the tiles",
       {scores, "max(min(ranges[i].end, keys.end), keys.begin)", "keys.end"},
       any_order},
      {"a full range begins with the tiles",
       {scores, "min(max(ranges[i].begin, keys.begin), keys.end)", "keys.begin"},
       any_order},
      {"positions before the first key are rows from the end",
       {sequence, "min(max(positions.begin, k_position), end) - k_position",
        "min(positions.begin, end) - k_position"},
       with_scalars(masked("k >= q - n && k <= q"), {{"n", 700}})},
  });
}

TEST_CASE("faults in the arithmetic of expressions are noticed") {
  ForwardCase negative = with_scalars(masked("q // n == k // n"), {{"n", 50}});
  negative.q_offset = -120, negative.k_offset = -170;
  ForwardCase remainder = with_scalars(masked("(q - k) % n == 1"), {{"n", 3}});
  ForwardCase beside_a_tile = scored(softcap(50));
  beside_a_tile.q_offset = 63;  // the first row sees all of a tile, and nothing of the one before
  ForwardCase vectors = scored(additive_bias("bias", DType::bf16));
  ForwardCase both_sides = scored(relative_bias(5));
  both_sides.problem.mask = true;
  ForwardCase pairs = scored(additive_bias("bias", DType::f32));
  check_noticed({
      {"quotients round to zero", {expressions, " - (a % b < 0)", ""}, negative},
      {"remainders have the sign of the dividend",
       {expressions, "rest < 0 ? rest + b : rest", "rest"},
       remainder},
      {"magnitudes keep their sign",
       {expressions, "return max(a, -a);", "return a;"},
       masked("abs(q - k) <= 30")},
      {"an index in front of a tensor is not its first element",
       {expressions, "min(max(index, 0), tensor.sizes", "min(index, tensor.sizes"},
       scored(relative_bias(5))},
      {"an index behind a tensor is not its last element",
       {expressions, "min(max(index, 0), tensor.sizes[dimension] - 1)", "max(index, 0)"},
       both_sides},
      {"tangents of small scores lack a term",
       {expressions, "fmaf(fmaf(c7, square, c5), square, c3)", "fmaf(c7, square, c5) * square"},
       scored(softcap(50))},
      {"tangents of large scores are taken for small ones",
       {expressions, "!(largest_magnitude(tile) * fabsf(factor) <= small)", "false"},
       scored(softcap(0.5))},
      {"tangents keep their factor",
       {expressions, "tangent(factor * tile[i]) * inverse", "tangent(factor * tile[i])"},
       scored(softcap(0.5))},
      {"a cap in one pass lacks a term",
       {softmax, "fmaf(fmaf(c5, square, c3), square, c1)", "c1"},
       scored(softcap(50))},
      {"a cap in one pass lacks its last term",
       {softmax, "fmaf(c5, square, c3)", "c3"},
       scored(softcap(15))},
      {"large scores are capped in one pass",
       {softmax, "largest * fabsf(factor) <= 0.25f", "true"},
       scored(softcap(0.5))},
      {"scores of rows without a reference are capped in one pass",
       {softmax, " && excess <= 8", ""},
       beside_a_tile},
      {"vectors of elements are not exchanged",
       {expressions, "exchange(x[0], x[4], upper, 2);", ""},
       vectors},
      {"vectors of elements go to the other row",
       {expressions, "rows[i % 2] + min(max(key + column", "rows[0] + min(max(key + column"},
       vectors},
      {"pairs of elements go to the other row",
       {expressions, "rows[p % 2] + min(max(key + 8 * (p / 2)",
        "rows[0] + min(max(key + 8 * (p / 2)"},
       pairs},
      {"elements are those of the tile before",
       {consumer, "load(elements, rows, first_key + at.column())",
        "load(elements, rows, first_key + tiling.tile_kv + at.column())"},
       pairs},
  });
}

TEST_CASE("faults in sinks are noticed") {
  check_noticed({
      {"every share adds the sink",
       {consumer, "if (splits_keys<Spec> && done.share > 0) return;", ""},
       sunk("1.5"),
       shares},
      {"both rows take the sink of the first",
       {consumer, "score.sink(first_row + at.row(r) / heads)",
        "score.sink(first_row + at.row(0) / heads)"},
       sunk("0.25 * q")},
      {"the sink is that of the first head",
       {consumer, "      Score score = score_of<Spec>(params, of_head, sequence);",
        "      of_head.head = 0; Score score = score_of<Spec>(params, of_head, sequence);"},
       sunk("2.0 * head")},
      {"what was accumulated is not made relative to the sink",
       {softmax, "rescale[r] = exp2_approx(reference[r] - moved);\n    sum[r] = fmaf",
        "rescale[r] = 1;\n    sum[r] = fmaf"},
       sunk("20.0")},
      {"the reference stays", {softmax, "    reference[r] = moved;\n  }", "  }"}, sunk("20.0")},
      {"the sink is added twice",
       {softmax, "exp2_approx(logit - moved));", "2 * exp2_approx(logit - moved));"},
       sunk("1.5")},
  });
}
