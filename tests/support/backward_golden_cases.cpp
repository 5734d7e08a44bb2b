// The list of golden backward kernels.
#include "streamattn/masks.h"
#include "tests/support/golden_cases.h"

namespace streamattn {
namespace {

void add_packed(std::vector<GoldenCase>& cases) {
  const auto add = [&](const char* suffix, Problem problem) -> GoldenCase& {
    problem.q_layout = problem.kv_layout = SequenceLayout::packed;
    GoldenCase& golden = cases.emplace_back(chosen_case(problem, Operation::backward));
    golden.name += suffix;
    return golden;
  };
  add("_packed", {.head_dim = 64});
  add("_packed", {.head_dim = 128, .group_size = 2, .mask = causal()});
  add("_packed", {.head_dim = 192, .value_head_dim = 128, .mask = causal()});
  add("_packed_lens", {.dtype = DType::f16,
                       .head_dim = 80,
                       .mask = causal() && sliding_window(100),
                       .q_lens = true,
                       .kv_lens = true});
  add("_packed_alibi_sink", {.head_dim = 128,
                             .mask = causal(),
                             .score = alibi(),
                             .sink = Expr::parse("sink[batch, head]", ExprRole::score)})
      .tensors = {{"slope", InputKind::slopes}};
}

}  // namespace

std::vector<GoldenCase> backward_golden_cases() {
  std::vector<GoldenCase> cases;
  const auto add = [&](const Problem& problem) -> GoldenCase& {
    return cases.emplace_back(chosen_case(problem, Operation::backward));
  };
  for (int head_dim : {64, 128})
    for (const Expr& mask : {Expr(), causal()}) add({.head_dim = head_dim, .mask = mask});
  for (int head_dim : {16, 80, 96}) add({.head_dim = head_dim, .mask = causal()});
  add({.dtype = DType::f16, .head_dim = 128, .mask = causal()});
  add({.head_dim = 128, .value_head_dim = 64});
  add({.head_dim = 64, .value_head_dim = 128, .mask = causal()});
  add({.head_dim = 128, .group_size = 4, .mask = causal()});
  GoldenCase& window =
      add({.head_dim = 128,
           .mask = causal() && (sliding_window(scalar("window")) || sinks(scalar("first")))});
  window.name += "_sinks_window";
  window.scalars = {{"window", 150}, {"first", 4}};
  add({.head_dim = 64, .mask = causal() && document()}).name += "_documents";
  for (const Expr& mask : {Expr(), causal()}) add({.head_dim = 256, .mask = mask});
  add({.head_dim = 192, .value_head_dim = 128, .mask = causal()});
  add({.head_dim = 136, .value_head_dim = 208, .group_size = 2});
  add({.dtype = DType::f16,
       .head_dim = 256,
       .mask = causal(),
       .score = softcap(scalar("cap", DType::f32))})
      .scalars = {{"cap", 2}};
  for (int head_dim : {64, 128}) {
    const auto named = [&](const char* suffix, Problem problem) -> GoldenCase& {
      problem.head_dim = head_dim;
      GoldenCase& golden = add(problem);
      golden.name += suffix;
      return golden;
    };
    named("_softcap_sink", {.mask = causal(),
                            .score = softcap(scalar("cap", DType::f32)),
                            .sink = Expr::parse("sink[head]", ExprRole::score)})
        .scalars = {{"cap", 2}};
    named("_alibi", {.mask = causal(), .score = alibi()}).tensors = {{"slope", InputKind::slopes}};
    named("_bias", {.score = additive_bias("bias", DType::bf16)});
  }
  add({.head_dim = 64,
       .mask = causal(),
       .score = Expr::parse("score + table[head, q - k]", ExprRole::score)})
      .name += "_relative";
  for (const Problem& problem :
       {Problem{.head_dim = 64, .group_size = 2, .dropout = true},
        Problem{.head_dim = 128, .mask = causal(), .dropout = true},
        Problem{.dtype = DType::f16, .head_dim = 256, .mask = causal(), .dropout = true}})
    add(problem).name += "_dropout";
  add({.head_dim = 64,
       .mask = causal(),
       .score = additive_bias("bias", DType::bf16),
       .dropout = true})
      .name += "_bias_dropout";
  add_packed(cases);
  return cases;
}

}  // namespace streamattn
