// Reads texts as tables of schedule rows, and looks up what is read.
#include "streamattn/compiler.h"
#include "streamattn/schedule_table.h"
#include "tests/fuzz/fuzz_loop.h"
#include "tests/fuzz/text_mutator.h"

namespace streamattn {
namespace {

void read_rows(const std::string& text) {
  try {
    const ScheduleTable table = ScheduleTable::parse(text, "fuzz");
    const Problem problem{.head_dim = 64, .mask = Expr::parse("k <= q")};
    const Shape shape{.batch = 1, .kv_heads = 2, .q_len = 128, .kv_len = 128};
    for (const char* target : {"cpu", "sm_90a"})
      choose(Operation::forward, problem, shape, find_target(target), table);
    table.nearest(Operation::forward, problem, shape, find_target("sm_90a"), 3);
  } catch (const Error& error) {
    check_message(error);
  }
}

TextSource rows_of(std::uint64_t seed) {
  const std::vector<std::string> corpus = {
      "[[schedule]]\ntarget = \"sm_90a\"\ndevice = \"NVIDIA H200\"\n"
      "when = { op = \"forward\", dtype = \"bf16\", head_dim = 64, mask = \"k <= q\", q_len = "
      "\"64..\" }\nuse = { family = \"flash_wgmma\", tile_q = 128, tile_kv = 96, ping_pong = false "
      "}\n",
      "[[schedule]]\ntarget = \"cpu\"\nwhen = { head_dim = \"16..64\", dropout = false }\n"
      "use = { family = \"cpu_tiled\", tile_q = 32, tile_kv = 48 }\n",
      "[[schedule]]\ntarget = \"sm_90a\"\n"
      "when = { op = \"backward\", group_size = 1, score = \"score\", q_layout = \"dense\", "
      "kv_lens "
      "= false }\nuse = { family = \"backward_wgmma\", tile_q = 64, tile_kv = 128 }\n"
      "from = { driver = \"580.1\", nvrtc = \"13.0\", l2 = \"cold\", launch = \"eager\", shapes = "
      "[\"1 x 8 x 64 x "
      "64\"], us = [166.7840], spread = 0.0386, noise = 0.0002, gain = 1.05 }\n"};
  const std::vector<std::string> words = {
      "target",      "when",   "use",    "family",   "from",    "[[schedule]]\n",
      "[schedule]",  "{ ",     " }",     "= ",       ", ",      "\"",
      "'",           "\"\"\"", "#",      "..",       "\"1..\"", "\"..9\"",
      "true",        "false",  "inf",    "nan",      "-1",      "0",
      "1e400",       "0x7f",   "1.5",    "op",       "mask",    "sink",
      "score",       "kv_len", "stages", "clusters", "splits",  "9223372036854775807",
      "1979-05-27",  "[1, 2]", "[]",     "{}",       "\\u0000", "\xc3\xa4",
      "decode_wgmma"};
  return [mutator = TextMutator(seed, corpus, words)]() mutable { return mutator.next(); };
}

}  // namespace
}  // namespace streamattn

int main(int argc, char** argv) {
  return streamattn::fuzz_main(argc, argv, streamattn::read_rows, streamattn::rows_of);
}
