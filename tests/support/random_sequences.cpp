// Draws layouts, lengths, masks and scores.
#include "tests/support/random_sequences.h"

#include <algorithm>
#include <random>

#include "streamattn/masks.h"

namespace streamattn {
namespace {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : random_(seed) {}

  std::int64_t from(std::int64_t first, std::int64_t last) {
    return std::uniform_int_distribution<std::int64_t>(first, last)(random_);
  }

  template <class List>
  auto one_of(const List& list) {
    return *(std::begin(list) + from(0, static_cast<std::int64_t>(std::size(list)) - 1));
  }

  bool one_in(std::int64_t n) { return from(1, n) == 1; }

  std::int64_t length(std::int64_t most) {
    const std::int64_t odd[] = {0, 1, 2, 63, 64, 65, 127, 128, 129};
    return std::min(one_in(2) ? one_of(odd) : from(0, most), most);
  }

 private:
  std::mt19937_64 random_;
};

void draw_expressions(Draw& draw, Problem& to) {
  const Expr masks[] = {Expr(), causal(), causal() && (sliding_window(40) || sinks(3)),
                        Expr::parse("k <= q && q - k < window || k < first"),
                        Expr::parse("k < kv_len - 1 || q_len == 1")};
  const char* const scores[] = {"score", "score - 0.25 * (q - k)", "score + bias:f32[head, k]",
                                "score * (1 + batch)", "2 * tanh(score / 2)"};
  to.mask = draw.one_of(masks);
  to.score = Expr::parse(draw.one_of(scores), ExprRole::score);
  if (draw.one_in(4)) to.sink = Expr::parse("logit[head]", ExprRole::score);
}

/// What is compiled in.
Problem random_problem(const SequenceDraw& from, Draw draw) {
  const SequenceLayout layouts[] = {SequenceLayout::dense, SequenceLayout::packed,
                                    SequenceLayout::paged};
  Problem problem = {.dtype = draw.one_of(from.types),
                     .head_dim = draw.one_of(from.head_dims),
                     .value_head_dim = draw.one_of(from.value_head_dims),
                     .group_size = draw.one_of(from.group_sizes)};
  if (draw.one_in(3)) problem.out_dtype = DType::f32;
  problem.q_layout = layouts[draw.from(0, 1)];
  problem.kv_layout = layouts[draw.from(0, 2)];
  problem.q_lens = draw.one_in(3);
  problem.kv_lens = draw.one_in(2);
  draw_expressions(draw, problem);
  return problem;
}

void draw_lengths(Draw& draw, const SequenceDraw& from, ForwardCase& to) {
  const Problem& problem = to.problem;
  const bool q_differs = problem.q_lens || problem.q_layout != SequenceLayout::dense;
  const bool kv_differs = problem.has_kv_lens() || problem.kv_layout != SequenceLayout::dense;
  const std::int64_t most_queries = draw.one_in(2) ? 1 : from.most_queries;
  to.shape.q_len = q_differs ? 0 : draw.length(most_queries);
  to.shape.kv_len = kv_differs ? 0 : draw.length(from.most_keys);
  for (std::int64_t i = 0; i < to.shape.batch; i++) {
    if (q_differs) to.lengths.q.push_back(draw.length(most_queries));
    if (kv_differs) to.lengths.kv.push_back(draw.length(from.most_keys));
  }
  for (const std::int64_t n : to.lengths.q) to.shape.q_len = std::max(to.shape.q_len, n);
  for (const std::int64_t n : to.lengths.kv) to.shape.kv_len = std::max(to.shape.kv_len, n);
}

}  // namespace

ForwardCase random_sequences(const SequenceDraw& from, std::uint64_t problem, std::uint64_t seed) {
  Draw draw(seed);
  ForwardCase to{.problem = random_problem(from, Draw(problem)),
                 .shape = {.batch = draw.from(0, from.most_sequences), .kv_heads = draw.from(1, 2)},
                 .seed = seed};
  const Layout memory[] = {Layout::bshd, Layout::bhsd, Layout::padded};
  to.layout = draw.one_of(memory);
  to.with_lse = !draw.one_in(4);
  to.lengths.page_size = draw.one_of(from.page_sizes);
  if (to.problem.mask.text().find("window") != std::string::npos)
    to.scalars = {{"window", static_cast<double>(draw.from(1, 80))},
                  {"first", static_cast<double>(draw.from(0, 5))}};
  draw_lengths(draw, from, to);
  return to;
}

BackwardCase random_gradients(const SequenceDraw& draw, std::uint64_t problem, std::uint64_t seed,
                              bool on_gpu) {
  BackwardCase given{.forward = random_sequences(draw, problem, seed)};
  Problem& of = given.forward.problem;
  if (on_gpu) of.q_layout = SequenceLayout::packed;
  if (on_gpu || of.kv_layout == SequenceLayout::paged) of.kv_layout = SequenceLayout::packed;
  if (on_gpu) of.out_dtype.reset();
  given.forward.with_lse = true;
  if (seed % 3 == 0) given.gradient_dtype = DType::f32;
  given.accumulate = seed % 6 == 0;
  return given;
}

}  // namespace streamattn
