// Builds the list of calls that a benchmark times.
#include "tools/bench_grid.h"

#include <algorithm>

#include "streamattn/error.h"

namespace streamattn {

BenchGrid find_suite(const std::string& name) {
  if (name == "h200-backward") {
    return {.operation = Operation::backward,
            .head_dims = {64, 128},
            .masks = {"true", "k <= q"},
            .seqs = {1024, 4096, 16384},
            .tokens = 16384,
            .hidden = 2048};
  }
  if (name != "h200-forward") {
    throw Error(ErrorCode::invalid_config,
                "unknown suite \"" + name + "\", known: h200-forward, h200-backward");
  }
  return {.head_dims = {64, 128, 256},
          .masks = {"true", "k <= q"},
          .seqs = {512, 1024, 2048, 4096, 8192, 16384},
          .tokens = 16384,
          .hidden = 2048};
}

void BenchGridFlags::add_to(Flags& flags) {
  flags.section("what is timed: every combination of the lists");
  flags.add("suite", "NAME",
            "h200-forward, 36 shapes, or h200-backward, 12; the flags below replace parts of it",
            suite_);
  add_operation_to(flags, operation_);
  flags.add("dtype", "f16|bf16|f32", "of Q, K and V (bf16)", dtype_);
  flags.add("out-dtype", "f16|bf16|f32", "of O (that of Q, K and V)", out_dtype_);
  flags.add("head-dim", "LIST", "of Q and K, such as 64,128 (128)", head_dims_);
  flags.add("value-head-dim", "N", "of V and O (head-dim)", value_head_dim_);
  flags.add("mask", "EXPR", "such as \"k <= q\"; may be repeated (true)",
            [this](llvm::StringRef text) { masks_.push_back(text.str()); });
  flags.add("causal", "short for --mask \"k <= q\"", causal_);
  flags.exclude({"mask", "causal"});
  flags.add("score", "EXPR", "such as \"30 * tanh(score / 30)\"; may be repeated (score)",
            [this](llvm::StringRef text) { scores_.push_back(text.str()); });
  flags.add("sink", "EXPR", "a logit that joins the denominator, such as \"sink[head]\"", sink_);
  named_.add_to(flags);
  flags.add("dropout", "RATE", "leave out weights; which ones is up to --seed", dropout_);
  flags.add("seq", "LIST", "tokens of Q and K (512,1024,2048,4096)", seqs_);
  flags.add("q-len", "N", "tokens of Q (seq)", q_len_);
  flags.add("batch", "N", "(1)", batch_);
  flags.add("tokens", "N", "batch is N / seq", tokens_);
  flags.add("heads", "N", "query heads (8)", heads_);
  flags.add("hidden", "N", "query heads are N / head-dim", hidden_);
  flags.add("kv-heads", "N", "key-value heads (heads)", kv_heads_);
  flags.add("layout", "bshd|bhsd", "of every tensor (bshd)", layout_);
  flags.add("packed", "sequences one behind the other, by offsets on the device", packed_);
  flags.add("paged", "N", "K and V in pages of N tokens, lengths on the device", page_size_);
  flags.exclude({"batch", "tokens"});
  flags.exclude({"heads", "hidden"});
}

BenchGrid BenchGridFlags::grid(const BenchGrid& defaults) const {
  BenchGrid grid = suite_ ? find_suite(*suite_) : defaults;
  if (!head_dims_.empty()) grid.head_dims = head_dims_;
  if (!masks_.empty()) grid.masks = masks_;
  if (causal_) grid.masks = {causal().text()};
  if (!scores_.empty()) grid.scores = scores_;
  if (!seqs_.empty()) grid.seqs = seqs_;
  if (kv_heads_) grid.kv_heads = kv_heads_;
  if (tokens_ || batch_) grid.tokens = tokens_;
  if (hidden_ || heads_) grid.hidden = hidden_;
  grid.batch = batch_.value_or(grid.batch);
  grid.heads = heads_.value_or(grid.heads);
  return grid;
}

std::vector<ForwardCase> BenchGridFlags::calls(const BenchGrid& defaults) const {
  const BenchGrid lists = grid(defaults);
  const SequenceLayout sequence_layout = packed_ ? SequenceLayout::packed : SequenceLayout::dense;
  if (page_size_ && *page_size_ < 1)
    throw Error(ErrorCode::invalid_config,
                "--paged is " + std::to_string(*page_size_) + ", needs 1 or more");
  std::vector<ForwardCase> calls;
  for (const int head_dim : lists.head_dims) {
    const std::int64_t heads =
        lists.hidden ? std::max<std::int64_t>(1, *lists.hidden / std::max(1, head_dim))
                     : lists.heads;
    const std::int64_t kv_heads = lists.kv_heads.value_or(heads);
    for (const std::string& mask : lists.masks) {
      for (const std::string& score : lists.scores) {
        Problem problem{.dtype = dtype_,
                        .out_dtype = out_dtype_,
                        .head_dim = head_dim,
                        .value_head_dim = value_head_dim_,
                        .group_size = group_size(heads, kv_heads),
                        .mask = Expr::parse(mask),
                        .score = parse_score(score),
                        .sink = parse_sink(sink_),
                        .q_layout = sequence_layout,
                        .kv_layout = page_size_ ? SequenceLayout::paged : sequence_layout,
                        .dropout = dropout_.has_value()};
        problem.validate();
        for (const std::int64_t seq : lists.seqs) {
          if (seq < 1) throw Error(ErrorCode::invalid_config, "--seq must be >= 1");
          const std::int64_t batch =
              lists.tokens ? std::max<std::int64_t>(1, *lists.tokens / seq) : lists.batch;
          calls.push_back({.problem = problem,
                           .shape = {batch, kv_heads, q_len_.value_or(seq), seq},
                           .layout = layout_,
                           .dropout = {.rate = dropout_.value_or(0)},
                           .scalars = lists.scalars,
                           .operation = operation_.value_or(lists.operation)});
          if (page_size_) calls.back().lengths.page_size = *page_size_;
        }
      }
    }
  }
  for (const ForwardCase& call : calls) require_read(call);
  named_.apply_to(calls);
  for (const ForwardCase& call : calls) require_scalars(call);
  return calls;
}

}  // namespace streamattn
