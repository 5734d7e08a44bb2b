// flash_wgmma on the emulator where keys lie in pages: by boxes of TMA, by copies where pages are
// too small for these, and with faults planted.
#include <cstring>

#include "tests/emulated/ragged_case.h"
#include "tests/support/planted_values.h"

using namespace streamattn;

namespace {

constexpr SequenceLayout packed = SequenceLayout::packed, paged = SequenceLayout::paged;

/// The same with K and V of a page behind each other in one tensor, [pages, 2, ...].
struct OneTensor {
  std::vector<char> memory;
  ForwardArgs args;

  explicit OneTensor(const ForwardArgs& given) : args(given) {
    const std::int64_t page_bytes = given.k.batch_stride * bytes(given.k.dtype);
    memory.resize(2 * given.k.batch * page_bytes);
    for (std::int64_t page = 0; page < given.k.batch; page++)
      for (const auto& [half, from] : {std::pair(0, given.k.data), {1, given.v.data}})
        std::memcpy(memory.data() + (2 * page + half) * page_bytes,
                    static_cast<const char*>(from) + page * page_bytes, page_bytes);
    args.k.data = memory.data(), args.v.data = memory.data() + page_bytes;
    args.k.batch_stride *= 2, args.v.batch_stride *= 2;
  }
};

/// Entries of a sequence's pages in a copy of the table.
struct ChangedTable {
  std::vector<std::int32_t> entries;
  std::int64_t stride;

  explicit ChangedTable(ForwardArgs& args) : stride(args.sequences.block_table_stride) {
    const std::int32_t* table = args.sequences.block_table;
    entries.assign(table, table + args.sequences.batch * stride);
    args.sequences.block_table = entries.data();
  }
  std::int32_t& entry(std::int64_t sequence, std::int64_t page) {
    return entries[sequence * stride + page];
  }
};

}  // namespace

TEST_CASE("random batches of many queries agree with float64 where keys lie in pages") {
  int checked = 0;
  for (std::uint64_t number = 0; number < 40; number++) {
    const Problem problem = random_sequences(ragged_draw(), number, 0).problem;
    if (problem.kv_layout != paged) continue;
    const EmulatedKernel kernel = ragged_kernel(problem, ragged_schedule(problem, number));
    for (std::uint64_t seed = 0; seed < 8; seed++, checked++)
      check_case(kernel, random_sequences(ragged_draw(), number, 100 * number + seed),
                 1 + static_cast<int>(seed % 4));
  }
  CHECK(checked > 50);
}

TEST_CASE("chunks of prompts agree with float64 for pages of every size and in either order") {
  Problem problem{.head_dim = 128, .group_size = 4, .mask = causal(), .kv_layout = paged};
  const std::vector<std::int64_t> q = {150, 1, 0, 64, 65, 33}, kv = {300, 257, 64, 64, 65, 0};
  for (const bool is_packed : {true, false}) {
    problem.q_layout = is_packed ? packed : SequenceLayout::dense;
    problem.q_lens = !is_packed;
    const Schedule schedule = parse_schedule("tile_kv=80", ragged_schedule(problem, 1));
    const EmulatedKernel kernel = ragged_kernel(problem, schedule);
    for (const std::int64_t page_size : {16, 20, 64, 128, 256}) {
      ForwardCase given = ragged_case(problem, q, kv);
      given.lengths.page_size = page_size;
      given.layout = page_size % 3 == 1 ? Layout::bhsd : Layout::bshd;
      check_case(kernel, given);
    }
  }
}

TEST_CASE("pages of any size, in one tensor or two, give the bits of packed keys") {
  Problem problem{
      .head_dim = 64, .group_size = 2, .mask = causal(), .q_layout = packed, .kv_layout = packed};
  const std::vector<std::int64_t> q = {150, 1, 64}, kv = {210, 130, 64};
  for (std::size_t kind = 0; kind < std::size(ragged_kinds); kind++) {
    const Schedule schedule = ragged_schedule(problem, kind);
    problem.kv_layout = packed;
    const std::vector<double> expected =
        result_of(ragged_kernel(problem, schedule), ragged_case(problem, q, kv));
    problem.kv_layout = paged;
    const EmulatedKernel kernel = ragged_kernel(problem, schedule);
    for (const std::int64_t page_size : {1, 2, 5, 8, 16, 48, 512}) {
      INFO("kind " << kind << ", pages of " << page_size);
      ForwardCase given = ragged_case(problem, q, kv);
      given.lengths.page_size = page_size;
      CHECK(result_of(kernel, given) == expected);
      const ForwardTensors tensors(given);
      const OneTensor one(tensors.args());
      kernel.emulate(one.args, {.multiprocessors = 4});
      CHECK(values_of(one.args) == expected);
    }
  }
}

TEST_CASE("pages that a window gave back are not read, and those never visited may be anything") {
  const Problem problem{.head_dim = 64,
                        .group_size = 2,
                        .mask = causal() && sliding_window(scalar("window")),
                        .kv_layout = paged,
                        .q_lens = true};
  const EmulatedKernel kernel = ragged_kernel(problem, ragged_schedule(problem, 0));
  ForwardCase given = ragged_case(problem, {130, 20}, {900, 600});
  given.scalars = {{"window", 100}};
  for (const std::int64_t page_size : {8, 12}) {
    given.lengths.page_size = page_size;
    const ForwardTensors tensors(given);
    ForwardArgs args = tensors.args();
    ChangedTable table(args);
    for (std::int64_t b = 0; b < 2; b++) {
      const std::int64_t first_seen = given.lengths.kv[b] - given.lengths.q[b] - 99;
      for (std::int64_t page = 0; (page + 1) * page_size <= first_seen; page++) {
        const bool is_visited = (page + 1) * page_size > first_seen - 64;
        table.entry(b, page) = is_visited || page % 2 == 0 ? -1 : 0x7FFFFFFF;
      }
    }
    kernel.emulate(args, {.multiprocessors = 3});
    check_result(problem, tensors.args(), tensors);
  }
}

TEST_CASE("NaN and infinity in V of pages reach the rows that see their keys and no others") {
  for (std::size_t kind = 0; kind < 2; kind++) {
    const Problem problem{
        .head_dim = 64,
        .group_size = 2,
        .mask = Expr::parse(kind == 0 ? "k <= q && k < length[batch]" : "k < 1000"),
        .q_layout = packed,
        .kv_layout = paged};
    const EmulatedKernel kernel = ragged_kernel(problem, ragged_schedule(problem, kind));
    for (const std::int64_t page_size : {4, 16, 64}) {
      INFO("kind " << kind << ", pages of " << page_size);
      ForwardCase given = ragged_case(problem, {150, 70}, {210, 290});
      given.lengths.page_size = page_size;
      ForwardTensors tensors(given);
      plant_not_finite(tensors, 40, /*seed=*/7);
      kernel.emulate(tensors.args(), {.seed = 2, .multiprocessors = 2});
      check_result(problem, tensors.args(), tensors);
    }
  }
}

TEST_CASE("weights that are dropped of keys in pages are those of packed ones") {
  Problem problem{
      .head_dim = 64, .mask = causal(), .q_layout = packed, .kv_layout = paged, .dropout = true};
  const EmulatedKernel kernel = ragged_kernel(problem, ragged_schedule(problem, 0));
  ForwardCase given = ragged_case(problem, {150, 3, 70}, {200, 3, 333});
  given.dropout = {0.3F, 9, 1};
  check_case(kernel, given);
}

TEST_CASE("faults where keys lie in pages are noticed") {
  constexpr const char *producer = "forward/flash_producer.cuh",
                       *screen = "forward/flash_screen.cuh", *block = "forward/flash_wgmma.cuh",
                       *pages = "parts/pages.cuh";
  const struct {
    const char* what;
    std::int64_t page_size;
    Fault fault;
    const char* cause;
  } faults[] = {
      {"boxes arrive in each other's place",
       16,
       {pages, "c * Tile::chunk_bytes + row * Tile::span, map",
        "c * Tile::chunk_bytes + (row ^ 16) * Tile::span, map"},
       "wrong result"},
      {"entries behind the last key are read",
       4,
       {pages, "if (row >= kv_len) return {-1, 0};", ""},
       ""},
      {"rows begin at the first of a page",
       256,
       {pages, "row - page * pages.page_size}", "0}"},
       "wrong result"},
      {"all sequences have the pages of the first",
       16,
       {producer, "paged.pages, item.batch, first_key", "paged.pages, 0, first_key"},
       ""},
      {"boxes come before the stage is free",
       16,
       {producer, "    __syncwarp();\n    full = __shfl_sync(~0u, full, 0);",
        "    full = kv.stage;\n    full = ring.full_of(full);"},
       ""},
      {"every lane draws",
       16,
       {producer, "if (leads()) next = order.next(index);", "next = order.next(index);"},
       ""},
      {"one page is what the others are",
       16,
       {producer, "if (leads()) {\n      store_shared(shared.slot()",
        "{\n      store_shared(shared.slot()"},
       ""},
      {"copies are not waited for",
       4,
       {screen, "    mbarrier_wait(shared.copied(), parity);\n", ""},
       ""},
      {"phases of copies are not told apart", 4, {screen, "at.stage & 1", "0"}, ""},
      {"tiles of Q have no phase of copies",
       4,
       {screen, "    copy_async_arrive(shared.copied());",
        "    else return;\n    copy_async_arrive(shared.copied());"},
       ""},
      {"a warp's copies are not counted",
       4,
       {block, "shared.copied(), 32 * screen_warps)", "shared.copied(), 31 * screen_warps)"},
       "it has not waited for"},
      {"copies are of another head",
       4,
       {screen, "int head = of_all - sequence * params.paged.kv_heads;", "int head = 0;"},
       "wrong result"},
  };
  const Problem boxes{.head_dim = 64, .mask = causal(), .q_layout = packed, .kv_layout = paged};
  Problem copies = boxes;
  copies.mask = Expr::parse("k <= q && k < n");  // V is watched
  for (const auto& [what, page_size, fault, cause] : faults) {
    INFO(what);
    const Problem& problem = page_size < 8 ? copies : boxes;
    ForwardCase given = ragged_case(problem, {140, 1, 200, 64, 300}, {140, 2, 199, 64, 500});
    given.lengths.page_size = page_size;
    if (page_size < 8) given.scalars = {{"n", 1000}};
    const std::string report = ragged_report(problem, ragged_schedule(problem, 0), given, fault);
    CHECK(report != "nothing");
    CHECK_THAT(report, contains_text(cause));
  }
}
