// The list of golden kernels.
#include "tests/support/golden_cases.h"

#include <llvm/ADT/STLExtras.h>

#include "compiler/expr/tile_policy.h"
#include "streamattn/error.h"
#include "streamattn/masks.h"

namespace streamattn {
namespace {

const Target& hopper() { return find_target("sm_90a"); }

// Scores, sinks and masks beyond causal().
std::vector<GoldenCase> expression_cases() {
  std::vector<GoldenCase> cases;
  const auto add = [&](const char* suffix, const Problem& problem,
                       const std::vector<NamedNumber>& scalars = {}) {
    GoldenCase golden = chosen_case(problem);
    golden.name = std::string("flash_wgmma_bf16_d128_") + suffix;
    // Under which walks over lists keep all in registers.
    if (is_data_dependent(problem.mask))
      golden.schedule = parse_schedule(
          "tile_q=128,tile_kv=64,stages=2,math_warpgroups=2,q_in_registers=false", golden.schedule);
    golden.scalars = scalars;
    cases.push_back(golden);
  };
  const auto score = [](const char* text) { return Expr::parse(text, ExprRole::score); };
  const Expr streaming = causal() && (sliding_window(scalar("window")) || sinks(scalar("first")));
  const Expr blocks = Expr::parse("blocks:u8[batch, head, q // 128, k // 128]");
  add("sinks_window", {.head_dim = 128, .mask = streaming}, {{"window", 150}, {"first", 4}});
  add("documents", {.head_dim = 128, .mask = causal() && document()});
  add("softcap_sink",
      {.head_dim = 128,
       .mask = causal(),
       .score = softcap(scalar("cap", DType::f32)),
       .sink = score("sink[head]")},
      {{"cap", 2}});
  add("alibi", {.head_dim = 128, .mask = causal(), .score = alibi()});
  cases.back().tensors = {{"slope", InputKind::slopes}};
  add("bias", {.head_dim = 128, .score = additive_bias("bias", DType::bf16)});
  add("blocks", {.head_dim = 128, .group_size = 2, .mask = blocks});
  return cases;
}

// Kernels that leave weights out: whole key tiles of 64 and parts of one, heads packed, keys split.
std::vector<GoldenCase> dropout_cases() {
  std::vector<GoldenCase> cases;
  const auto add = [&](const Problem& problem, const char* changes = "") {
    GoldenCase golden = chosen_case(problem);
    golden.name += "_dropout";
    golden.schedule = parse_schedule(changes, golden.schedule);
    cases.push_back(golden);
  };
  add({.head_dim = 128, .mask = causal(), .dropout = true});
  add({.head_dim = 64, .dropout = true});
  add({.dtype = DType::f16, .head_dim = 256, .mask = causal(), .dropout = true});
  add({.head_dim = 64, .group_size = 8, .mask = causal(), .dropout = true},
      "packed_heads=8,split_keys=true,o_buffer=false,tile_q=128,tile_kv=80,math_warpgroups=2");
  // All that takes registers at once, which leaves the smallest tile.
  add({.head_dim = 256,
       .mask = causal() && document(),
       .score = additive_bias("bias", DType::f32),
       .dropout = true});
  cases.back().name = "flash_wgmma_bf16_d256_documents_bias_dropout";
  return cases;
}

// Rows of the heads of a group in one tile, by every way of O.
std::vector<GoldenCase> packed_cases() {
  std::vector<GoldenCase> cases;
  const auto add = [&](const Problem& problem, const char* suffix, const char* changes) {
    GoldenCase golden = chosen_case(problem);
    golden.name += std::string("_packed") + suffix;
    golden.schedule = parse_schedule(changes, golden.schedule);
    cases.push_back(golden);
  };
  add({.head_dim = 128, .group_size = 8, .mask = causal()}, "_split",
      "packed_heads=8,split_keys=true,o_buffer=false,tile_q=128,tile_kv=64,math_warpgroups=2");
  add({.head_dim = 64,
       .group_size = 8,
       .mask = causal() && sliding_window(128),
       .sink = Expr::parse("sink[head]", ExprRole::score)},
      "_window_sink", "packed_heads=8,o_buffer=true,o_passes=1,softmax=stale");
  add({.head_dim = 128, .group_size = 4, .mask = causal()}, "_over_q",
      "packed_heads=4,o_buffer=false,tile_q=64,tile_kv=64,math_warpgroups=1,ping_pong=false,"
      "q_in_registers=false");
  add({.out_dtype = DType::f32, .head_dim = 64, .group_size = 6}, "", "packed_heads=2");
  return cases;
}

// Sequences that differ, by layouts, by ways of O, and with what takes part in a policy.
std::vector<GoldenCase> ragged_cases() {
  constexpr SequenceLayout packed = SequenceLayout::packed, paged = SequenceLayout::paged;
  std::vector<GoldenCase> cases;
  const auto add = [&](const char* suffix, const Problem& problem, const char* changes = "") {
    GoldenCase golden = chosen_case(problem);
    golden.name += suffix;
    golden.schedule = parse_schedule(changes, golden.schedule);
    cases.push_back(golden);
  };
  const auto score = [](const char* text) { return Expr::parse(text, ExprRole::score); };
  const Expr streaming = causal() && (sliding_window(scalar("window")) || sinks(scalar("first")));
  add("_ragged", {.group_size = 4, .mask = causal(), .q_layout = packed, .kv_layout = packed},
      "packed_heads=1");
  add("_sinks_window_ragged", {.mask = streaming, .q_lens = true, .kv_lens = true});
  cases.back().scalars = {{"window", 150}, {"first", 4}};
  add("_packed_over_q_ragged",
      {.dtype = DType::f16,
       .head_dim = 64,
       .group_size = 8,
       .mask = causal(),
       .q_layout = packed,
       .kv_lens = true},
      "packed_heads=8,o_buffer=false,tile_q=128,tile_kv=96,math_warpgroups=2,"
      "q_in_registers=false");
  add("_softcap_sink_ragged", {.out_dtype = DType::f32,
                               .mask = causal(),
                               .score = softcap(scalar("cap", DType::f32)),
                               .sink = score("sink[head]"),
                               .q_layout = packed,
                               .kv_layout = packed,
                               .kv_lens = true});
  cases.back().scalars = {{"cap", 2}};
  add("_documents_ragged",
      {.head_dim = 64, .mask = causal() && document(), .q_layout = packed, .kv_layout = packed});
  add("_dropout_ragged", {.mask = causal(), .q_layout = packed, .q_lens = true, .dropout = true});
  add("_paged", {.group_size = 4, .mask = causal(), .q_layout = packed, .kv_layout = paged},
      "packed_heads=1");
  add("_sinks_window_paged", {.head_dim = 64, .mask = streaming, .kv_layout = paged});
  cases.back().scalars = {{"window", 150}, {"first", 4}};
  add("_length_paged", {.dtype = DType::f16,
                        .head_dim = 256,
                        .mask = causal() && Expr::parse("k < length[batch]"),
                        .kv_layout = paged,
                        .q_lens = true});
  return cases;
}

// Sequences that differ, whose keys are split: with Q in registers and in memory, one range of keys
// and several, and what an item has once.
std::vector<GoldenCase> ragged_split_cases() {
  constexpr SequenceLayout packed = SequenceLayout::packed, paged = SequenceLayout::paged;
  std::vector<GoldenCase> cases;
  const auto add = [&](const char* suffix, const Problem& problem, const char* changes) {
    GoldenCase golden = chosen_case(problem);
    golden.name += std::string(suffix) + "_split";
    golden.schedule = parse_schedule(
        std::string("split_keys=true,o_buffer=false,o_passes=1,") + changes, golden.schedule);
    cases.push_back(golden);
  };
  const char* const in_registers =
      "tile_q=128,tile_kv=128,stages=2,math_warpgroups=2,q_in_registers=true";
  add("_paged", {.group_size = 4, .mask = causal(), .q_layout = packed, .kv_layout = paged},
      (std::string("packed_heads=4,") + in_registers).c_str());
  add("_ragged", {.mask = causal(), .q_layout = packed, .kv_layout = packed}, in_registers);
  add("_sinks_window_ragged",
      {.head_dim = 64,
       .mask = causal() && (sliding_window(scalar("window")) || sinks(scalar("first"))),
       .sink = Expr::parse("sink[head]", ExprRole::score),
       .q_lens = true,
       .kv_lens = true},
      "tile_q=192,tile_kv=80,stages=2,math_warpgroups=3,q_in_registers=false");
  cases.back().scalars = {{"window", 150}, {"first", 4}};
  add("_length_dropout_paged",
      {.dtype = DType::f16,
       .out_dtype = DType::f32,
       .head_dim = 256,
       .mask = causal() && Expr::parse("k < length[batch]"),
       .kv_layout = paged,
       .dropout = true},
      "tile_q=128,tile_kv=32,stages=4,math_warpgroups=2,q_in_registers=false");
  return cases;
}

}  // namespace

GoldenCase chosen_case(const Problem& problem, Operation operation) {
  std::string name = operation == Operation::forward ? "flash_wgmma_" : "backward_wgmma_";
  name += streamattn::name(problem.dtype);
  if (problem.output_dtype() != problem.dtype)
    name += "_" + std::string(streamattn::name(problem.output_dtype()));
  name += "_d" + std::to_string(problem.head_dim);
  if (problem.v_head_dim() != problem.head_dim) name += "x" + std::to_string(problem.v_head_dim());
  if (problem.group_size > 1) name += "_g" + std::to_string(problem.group_size);
  if (problem.mask.same_as(causal())) name += "_causal";
  // Long sequences; what short ones get is among the schedules below.
  Shape shape{.batch = 1, .kv_heads = 16, .q_len = 16384, .kv_len = 16384};
  return {.name = name,
          .problem = problem,
          .schedule = choose(operation, problem, shape, hopper()).schedule,
          .operation = operation};
}

Program GoldenCase::program() const { return emit(operation, problem, schedule, hopper()); }

std::vector<GoldenCase> golden_cases() {
  std::vector<GoldenCase> cases = split_golden_cases();
  for (int head_dim : {16, 64, 80, 96, 128, 192, 256})
    for (const Expr& mask : {Expr(), causal()})
      cases.push_back(chosen_case({.head_dim = head_dim, .mask = mask}));
  for (int head_dim : {64, 128, 256})
    cases.push_back(chosen_case({.dtype = DType::f16, .head_dim = head_dim, .mask = causal()}));
  cases.push_back(chosen_case({.head_dim = 192, .value_head_dim = 128, .mask = causal()}));
  cases.push_back(chosen_case({.head_dim = 64, .value_head_dim = 256}));
  cases.push_back(chosen_case({.out_dtype = DType::f32, .head_dim = 128}));
  cases.push_back(chosen_case({.dtype = DType::f16, .out_dtype = DType::f32, .head_dim = 256}));
  cases.push_back(chosen_case({.head_dim = 128, .group_size = 4, .mask = causal()}));

  for (GoldenCase& golden : expression_cases()) cases.push_back(std::move(golden));
  for (GoldenCase& golden : packed_cases()) cases.push_back(std::move(golden));
  for (GoldenCase& golden : dropout_cases()) cases.push_back(std::move(golden));
  for (GoldenCase& golden : ragged_cases()) cases.push_back(std::move(golden));
  for (GoldenCase& golden : ragged_split_cases()) cases.push_back(std::move(golden));
  for (GoldenCase& golden : decode_golden_cases()) cases.push_back(std::move(golden));

  auto with = [&](const char* suffix, const char* changes) {
    GoldenCase golden = chosen_case({.head_dim = 128, .mask = causal()});
    golden.name += std::string("_") + suffix;
    golden.schedule = parse_schedule(
        "tile_q=128,tile_kv=128,stages=2,math_warpgroups=2,q_in_registers=true,o_buffer=true",
        golden.schedule);
    golden.schedule = parse_schedule(changes, golden.schedule);
    cases.push_back(golden);
  };
  with("no_ping_pong", "ping_pong=false,softmax=stale");
  with("exact", "softmax=exact");
  with("o_over_q", "q_in_registers=false,o_buffer=false,tile_kv=176");
  with("one_warpgroup", "math_warpgroups=1,tile_q=64,tile_kv=64,ping_pong=false");
  with("two_warpgroups", "softmax=stale");
  with("three_stages", "stages=3,tile_kv=64");
  return cases;
}

std::vector<GoldenCase> decode_golden_cases() {
  constexpr SequenceLayout packed = SequenceLayout::packed, paged = SequenceLayout::paged;
  std::vector<GoldenCase> cases;
  const auto add = [&](const char* name, const Problem& problem, std::int64_t q_len = 1) {
    // As many heads as multiprocessors, so that blocks are not in clusters.
    const Shape shape{.batch = 1, .kv_heads = 132, .q_len = q_len, .kv_len = 8192};
    cases.push_back({std::string("decode_wgmma_") + name, problem,
                     choose(Operation::forward, problem, shape, hopper()).schedule});
  };
  const auto vary = [&](const std::string& name, const char* suffix, const char* changes) {
    GoldenCase golden = *llvm::find_if(
        cases, [&](const GoldenCase& g) { return g.name == "decode_wgmma_" + name; });
    golden.schedule = parse_schedule(changes, golden.schedule);
    golden.name += suffix;
    cases.push_back(golden);
  };
  const auto score = [](const char* text) { return Expr::parse(text, ExprRole::score); };
  add("bf16_d128_g8", {.group_size = 8});
  add("bf16_d128_g8_causal_paged", {.group_size = 8, .mask = causal(), .kv_layout = paged});
  add("bf16_d128_g5_causal_packed",
      {.group_size = 5, .mask = causal(), .q_layout = packed, .kv_layout = packed}, 4);
  add("f16_d64_causal_lens",
      {.dtype = DType::f16, .head_dim = 64, .mask = causal(), .q_lens = true, .kv_lens = true});
  add("bf16_f32_d256_g16", {.out_dtype = DType::f32, .head_dim = 256, .group_size = 16});
  add("bf16_d80x64_g12_causal",
      {.head_dim = 80, .value_head_dim = 64, .group_size = 12, .mask = causal()}, 2);
  const Expr streaming = causal() && (sliding_window(scalar("window")) || sinks(scalar("first")));
  add("bf16_d128_g4_sinks_window_paged", {.group_size = 4, .mask = streaming, .kv_layout = paged});
  cases.back().scalars = {{"window", 150}, {"first", 4}};
  add("bf16_d128_g4_softcap_sink", {.group_size = 4,
                                    .mask = causal(),
                                    .score = softcap(scalar("cap", DType::f32)),
                                    .sink = score("sink[head]")});
  cases.back().scalars = {{"cap", 2}};
  add("bf16_d128_g4_alibi", {.group_size = 4, .mask = causal(), .score = alibi()});
  cases.back().tensors = {{"slope", InputKind::slopes}};
  add("bf16_d128_g2_bias", {.group_size = 2, .score = additive_bias("bias", DType::bf16)}, 8);
  vary("bf16_d128_g8", "_cluster8", "cluster=8");
  vary("bf16_d128_g8_causal_paged", "_cluster4", "cluster=4");
  vary("f16_d64_causal_lens", "_cluster8", "cluster=8,stages=4");
  vary("bf16_f32_d256_g16", "_cluster16", "cluster=16");
  vary("bf16_d128_g5_causal_packed", "_cluster2", "cluster=2,stages=2");
  vary("bf16_d128_g4_softcap_sink", "_cluster4", "cluster=4");
  vary("bf16_d128_g8_causal_paged", "_splits", "split_tokens=128");
  return cases;
}

std::vector<GoldenCase> split_golden_cases() {
  std::vector<GoldenCase> cases;
  for (GoldenCase golden :
       {chosen_case({.head_dim = 128, .mask = causal()}), chosen_case({.head_dim = 64}),
        chosen_case({.dtype = DType::f16, .head_dim = 256})}) {
    golden.name += "_split";
    golden.schedule = parse_schedule("split_keys=true,o_passes=1", golden.schedule);
    cases.push_back(golden);
  }
  GoldenCase q_in_registers =
      chosen_case({.out_dtype = DType::f32, .head_dim = 128, .mask = causal()});
  q_in_registers.name += "_q_in_registers_split";
  q_in_registers.schedule =
      parse_schedule("tile_q=128,tile_kv=128,math_warpgroups=2,q_in_registers=true,split_keys=true",
                     q_in_registers.schedule);
  cases.push_back(q_in_registers);
  return cases;
}

std::vector<GoldenCase> append_golden_cases() {
  constexpr SequenceLayout packed = SequenceLayout::packed, paged = SequenceLayout::paged;
  std::vector<GoldenCase> cases;
  const auto add = [&](const char* name, const Problem& problem) {
    cases.push_back({.name = std::string("append_rows_") + name,
                     .problem = problem,
                     .schedule = choose(Operation::append, problem, {}, hopper()).schedule,
                     .operation = Operation::append});
  };
  add("bf16_d128", {.group_size = 4});
  add("bf16_d128_paged", {.group_size = 4, .kv_layout = paged});
  add("bf16_d128_packed_paged", {.group_size = 8, .q_layout = packed, .kv_layout = paged});
  add("f16_d64_packed", {.dtype = DType::f16,
                         .head_dim = 64,
                         .q_layout = packed,
                         .kv_layout = packed,
                         .q_lens = true,
                         .kv_lens = true});
  add("bf16_d192x128_lens",
      {.head_dim = 192, .value_head_dim = 128, .q_lens = true, .kv_lens = true});
  add("f16_d24x40_packed_paged", {.dtype = DType::f16,
                                  .head_dim = 24,
                                  .value_head_dim = 40,
                                  .group_size = 3,
                                  .q_layout = packed,
                                  .kv_layout = paged});
  return cases;
}

std::vector<GoldenCase> merge_golden_cases() {
  std::vector<GoldenCase> cases;
  for (const DType type : {DType::f16, DType::bf16}) {
    const Problem problem{.dtype = type};
    cases.push_back({.name = "merge_shares_" + std::string(streamattn::name(type)),
                     .problem = problem,
                     .schedule = choose(Operation::merge, problem, {}, hopper()).schedule,
                     .operation = Operation::merge});
  }
  return cases;
}

}  // namespace streamattn
