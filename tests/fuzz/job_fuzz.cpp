// Reads texts as jobs of the tuner.
#include "autotune/tune_job.h"
#include "tests/fuzz/fuzz_loop.h"
#include "tests/fuzz/text_mutator.h"

namespace streamattn {
namespace {

void read_job(const std::string& text) {
  try {
    const TuneJob job = parse_tune_job(text, "fuzz", "/nonexistent");
    for (const TuneGroup& group : job.groups) {
      if (group.shapes.empty()) report_fault("a group without a call", group.describe());
      for (const Shape& shape : group.shapes) group.at(shape).describe();
    }
  } catch (const Error& error) {
    check_message(error);
  }
}

TextSource jobs(std::uint64_t seed) {
  const std::vector<std::string> corpus = {
      "[[case]]\ndtype = \"bf16\"\nhead_dim = [64, 128]\nmask = [\"true\", \"k > q - window\"]\n"
      "set = { window = 512 }\ntensor = { doc = \"documents:300\" }\nheads = 32\nkv_heads = 8\n"
      "batch = [1, 8]\nseq = [512, 4096]\n",
      "target = \"sm_90a\"\n[[case]]\nhidden = 2048\ntokens = 16384\nlayout = \"bhsd\"\n"
      "seq = { from = 257, to = 16384 }\nweight = 3\n",
      "[[case]]\nseq = { random = 30, from = 64, to = 16384, seed = 1 }\n[space]\n"
      "tile_kv = [64, 96]\nsoftmax = \"stale\"\nping_pong = true\n",
      "[[case]]\nscore = \"score + slope[head]\"\nsink = \"s[head]\"\nq_len = [1, 16]\nkv_len = "
      "4096\nout_dtype = \"f32\"\nvalue_head_dim = 64\n",
      "[[case]]\nseq = { trace = \"lengths.csv\" }\n"};
  const std::vector<std::string> words = {"[[case]]\n",
                                          "[space]\n",
                                          "seq",
                                          "q_len",
                                          "kv_len",
                                          "tokens",
                                          "hidden",
                                          "batch",
                                          "heads",
                                          "kv_heads",
                                          "from",
                                          "to",
                                          "random",
                                          "trace",
                                          "seed",
                                          "weight",
                                          "set",
                                          "tensor",
                                          "target",
                                          "= ",
                                          "[",
                                          "]",
                                          "{",
                                          "}",
                                          ", ",
                                          "\"",
                                          "0",
                                          "-1",
                                          "1",
                                          "1099511627776",
                                          "4294967296",
                                          "1e9",
                                          "1e308",
                                          "nan",
                                          "inf",
                                          "9223372036854775807",
                                          "-9223372036854775808",
                                          "100000",
                                          "1000000000",
                                          "true",
                                          "\"cpu\"",
                                          "\"sm_90a\"",
                                          "\"f16\"",
                                          "stages",
                                          "\xc3\xa4"};
  return [mutator = TextMutator(seed, corpus, words)]() mutable { return mutator.next(); };
}

}  // namespace
}  // namespace streamattn

int main(int argc, char** argv) {
  return streamattn::fuzz_main(argc, argv, streamattn::read_job, streamattn::jobs);
}
