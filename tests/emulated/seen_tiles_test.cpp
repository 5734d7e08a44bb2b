// The backward pass under masks that data decide: which tiles are visited, and in which order.
#include <algorithm>
#include <vector>

#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"

using namespace streamattn;

namespace {

constexpr const char *documents = "backward_wgmma_bf16_d64_documents",
                     *tiles = "backward/seen_tiles.cuh", *walk = "backward/seen_walk.cuh";

GoldenCase with_mask(const char* text, int group_size = 1) {
  GoldenCase golden = golden_case(documents);
  golden.problem.mask = Expr::parse(text);
  golden.problem.group_size = group_size;
  return golden;
}

void check_shapes(const GoldenCase& golden, const std::vector<Shape>& shapes) {
  const EmulatedBackward kernel(golden);
  for (const Shape& shape : shapes) {
    BackwardCase given = backward_call_of(golden, shape, 3);
    given.forward.q_offset = std::max<std::int64_t>(0, shape.kv_len - shape.q_len);
    INFO(given.describe());
    check_gradients(given, kernel.emulate(given, {.seed = 2, .multiprocessors = 3}));
  }
}

}  // namespace

TEST_CASE("gradients under masks that data decide agree with float64") {
  const std::vector<Shape> shapes = {{.batch = 2, .kv_heads = 1, .q_len = 300, .kv_len = 413},
                                     {.batch = 1, .kv_heads = 2, .q_len = 129, .kv_len = 128},
                                     {.batch = 3, .kv_heads = 1, .q_len = 1, .kv_len = 1},
                                     {.batch = 1, .kv_heads = 1, .q_len = 5, .kv_len = 0},
                                     {.batch = 1, .kv_heads = 1, .q_len = 0, .kv_len = 70}};
  check_shapes(with_mask("k <= q && doc[batch, q] == doc[batch, k]", 2), shapes);
  check_shapes(with_mask("bit(word[batch, q, k // 32], k % 32)", 2), shapes);
  check_shapes(with_mask("blocks:u8[batch, head, q // 64, k // 64] != 0", 2), shapes);
}

TEST_CASE("tiles that are seen take more than one word, of queries and of keys") {
  check_shapes(with_mask("k <= q && doc[batch, q] == doc[batch, k]"),
               {{.batch = 1, .kv_heads = 1, .q_len = 70, .kv_len = 4300},
                {.batch = 1, .kv_heads = 1, .q_len = 4300, .kv_len = 130}});
}

TEST_CASE("gaps between the key tiles that a query tile sees are passed over by all") {
  // Half of all pairs of blocks, at random.
  const GoldenCase golden = with_mask("near:u8[q // 128, k // 128] != 0 && k <= q");
  BackwardCase given = backward_call_of(golden, {1, 1, 900, 900});
  given.forward.q_offset = 0;
  const EmulatedBackward kernel(golden);
  check_gradients(given, kernel.emulate(given, {.multiprocessors = 4}));
}

TEST_CASE("mistakes about the tiles that are seen are named") {
  constexpr Shape several = {1, 1, 600, 600};
  check_caught({
      {"bounds are read before they are written",
       documents,
       {tiles, "  dependency_wait();\n", ""},
       "dependency_wait",
       several},
      {"a tile of which some keys are hidden is left out",
       documents,
       {tiles, "kind != TileKind::none", "kind == TileKind::full"},
       "wrong result",
       several},
      {"every tile is taken for one that is seen whole",
       documents,
       {tiles, "sees_whole && kind == TileKind::full", "sees_whole"},
       "wrong result",
       several},
      {"words of other tiles",
       documents,
       {walk, "if (count < 32) word &= (1u << count) - 1;", ""},
       "sums of dQ, which nothing has written",
       several},
      {"the key tile before last is waited for",
       documents,
       {walk, "31 - __clz(int(found))", "30 - __clz(int(found))"},
       "livelock, threads run and nothing changes",
       several},
      {"the next key tile is not known to follow",
       documents,
       {walk, "u32 within = ~1u << key_tile % 32;", "u32 within = 0;"},
       "sums of dQ, which nothing has written",
       several},
  });
}
