// Masks that data decide, and what expressions are computed with, at the ends of what there is.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "compiler/expr/names.h"
#include "streamattn/error.h"
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"

using namespace streamattn;

namespace {

constexpr const char* knobs_of_kind[] = {
    "tile_q=128,tile_kv=64,stages=2,math_warpgroups=2,ping_pong=true,q_in_registers=true,"
    "o_buffer=true,split_keys=false,softmax=stale",
    "tile_q=192,tile_kv=64,stages=2,math_warpgroups=3,ping_pong=true,q_in_registers=false,"
    "o_buffer=true,split_keys=false,softmax=exact",
    "tile_q=64,tile_kv=32,stages=3,math_warpgroups=1,ping_pong=false,q_in_registers=true,"
    "o_buffer=true,split_keys=false,softmax=stale",
    "tile_q=128,tile_kv=64,stages=2,math_warpgroups=2,ping_pong=true,q_in_registers=false,"
    "o_buffer=false,split_keys=true,softmax=stale,splits=3"};

Problem with_mask(const char* text, int group_size = 1) {
  return {.head_dim = 64, .group_size = group_size, .mask = Expr::parse(text)};
}

Schedule schedule_of(const Problem& problem, int kind) {
  const Target& target = find_target("sm_90a");
  return parse_schedule(knobs_of_kind[kind],
                        choose(Operation::forward, problem, {1, 8, 4096, 4096}, target).schedule);
}

/// A kernel of a problem under a kind of schedule.
EmulatedKernel kernel_of(const Problem& problem, int kind,
                         const std::vector<EmbeddedFile>& instead = {}) {
  const Schedule schedule = schedule_of(problem, kind);
  return {problem,
          {schedule, "test"},
          emit(Operation::forward, problem, schedule, find_target("sm_90a")),
          instead};
}

void check_call(const EmulatedKernel& kernel, const ForwardCase& given, std::uint64_t seed = 1) {
  INFO(given.describe());
  const ForwardTensors tensors(given);
  kernel.emulate(tensors.args(), {.seed = seed});
  check_result(given.problem, tensors.args(), tensors);
}

template <class Element>
Element* data_of(const ForwardTensors& tensors, std::string_view name) {
  for (const TensorArg& tensor : tensors.named.tensors())
    if (tensor.name == name) return static_cast<Element*>(const_cast<void*>(tensor.data));
  FAIL("no tensor " << name);
  return nullptr;
}

constexpr const char* causal_documents = "k <= q && doc[batch, q] == doc[batch, k]";

}  // namespace

TEST_CASE("lists with no tile, one and all agree with float64 under every kind of schedule") {
  const Problem problem = with_mask("flag:u8[batch, q] == flag:u8[batch, k]");
  for (int kind = 0; kind < static_cast<int>(std::size(knobs_of_kind)); kind++) {
    const EmulatedKernel kernel = kernel_of(problem, kind);
    const ForwardCase given{
        .problem = problem, .shape = {2, 2, 270, 270}, .seed = 4, .q_offset = 0};
    INFO(kernel.problem().describe() << ", kind " << kind);
    const ForwardTensors tensors(given);
    auto* flag = data_of<std::uint8_t>(tensors, "flag");
    // Of the first batch entry, rows 0 to 127 and the last two see only keys of their own; of the
    // second one all see all.
    for (int i = 0; i < 270; i++) {
      flag[i] = static_cast<std::uint8_t>(i < 128 ? 1 : i < 268 ? 2 : 3);
      flag[270 + i] = 7;
    }
    kernel.emulate(tensors.args(), {.seed = 2});
    check_result(problem, tensors.args(), tensors);
    // Now rows from 128 on see nothing: no key in the call is theirs.
    ForwardArgs some = tensors.args();
    some.kv_rows = Rows{0, 100};
    const ForwardTensors again(given);
    std::memcpy(data_of<std::uint8_t>(again, "flag"), flag, 540);
    ForwardArgs args = again.args();
    args.kv_rows = Rows{0, 100};
    kernel.emulate(args, {.seed = 3});
    check_result(problem, args, again);
  }
}

TEST_CASE("data-dependent masks agree with float64 for few rows, few keys and none") {
  for (const char* text : {causal_documents, "bit(word[batch, q, k // 32], k % 32)",
                           "blocks:u8[batch, head, q // 64, k // 64] != 0"}) {
    const Problem problem = with_mask(text, 2);
    for (const int kind : {0, 3}) {
      const EmulatedKernel kernel = kernel_of(problem, kind);
      for (const Shape& shape : {Shape{2, 1, 1, 1}, Shape{1, 1, 1, 300}, Shape{1, 1, 200, 5},
                                 Shape{1, 2, 5, 0}, Shape{3, 1, 64, 64}, Shape{1, 1, 129, 257}})
        check_call(kernel, {.problem = problem,
                            .shape = shape,
                            .q_offset = std::max<std::int64_t>(0, shape.kv_len - shape.q_len)});
    }
  }
}

TEST_CASE("more shares than listed tiles, and one") {
  const Problem problem = with_mask(causal_documents);
  const EmulatedKernel kernel = kernel_of(problem, 3);
  for (const int splits : {1, 2, 7, 31})
    check_call(kernel.with("splits=" + std::to_string(splits)),
               {.problem = problem, .shape = {2, 1, 140, 330}, .q_offset = 190});
}

TEST_CASE("ids at the ends of 32 bits are compared as any others") {
  constexpr std::int32_t least = std::numeric_limits<std::int32_t>::min(),
                         most = std::numeric_limits<std::int32_t>::max();
  for (const char* text :
       {causal_documents, "doc[batch, q] <= doc[batch, k]", "doc[batch, k] < doc[batch, q]",
        "doc[batch, q] != doc[batch, k]", "k <= doc[batch, q]", "doc[batch, k] < q"}) {
    const Problem problem = with_mask(text);
    const EmulatedKernel kernel = kernel_of(problem, 0);
    const ForwardTensors tensors({.problem = problem, .shape = {1, 2, 200, 200}, .q_offset = 0});
    auto* doc = data_of<std::int32_t>(tensors, "doc");
    for (int i = 0; i < 200; i++)
      doc[i] = i < 70 ? least + i / 20 : i < 90 ? 0 : i < 110 ? 95 : most - (200 - i) / 20;
    INFO(text);
    kernel.emulate(tensors.args(), {});
    check_result(problem, tensors.args(), tensors);
  }
}

TEST_CASE("elements beyond 2^30 decide tiles as others do") {
  for (const char* text :
       {"block[q // 64, k // 64] == 2000000000", "block[q // 64, k // 64] > 1500000000",
        "block[q, k] <= 1500000000", "block[q // 50, k // 50] >= -1500000000"}) {
    const Problem problem = with_mask(text);
    const EmulatedKernel kernel = kernel_of(problem, 0);
    for (const double value : {2e9, -2e9, 0.0})
      check_call(kernel, {.problem = problem,
                          .shape = {1, 1, 130, 140},
                          .q_offset = 0,
                          .tensors = {{"block", InputKind::constant, value}}});
  }
}

TEST_CASE("named tensors of every type may have any strides, or one element") {
  for (const char* type : {"i32", "u8"}) {
    std::string mask = "doc:TYPE[batch, head, q] == doc:TYPE[batch, head, k]";
    for (std::size_t at = 0; (at = mask.find("TYPE")) != std::string::npos;)
      mask.replace(at, 4, type);
    const Problem problem{.head_dim = 64, .group_size = 2, .mask = Expr::parse(mask)};
    const EmulatedKernel kernel = kernel_of(problem, 0);
    const ForwardTensors tensors({.problem = problem,
                                  .shape = {2, 1, 130, 130},
                                  .q_offset = 0,
                                  .tensors = {{"doc", InputKind::documents, 40.0}}});
    ForwardArgs args = tensors.args();
    std::vector<TensorArg> named(args.tensors.begin(), args.tensors.end());
    const TensorArg dense = named[0];
    args.tensors = named;
    const int bytes = std::string(type) == "u8" ? 1 : 4;
    const auto check = [&](std::array<std::int64_t, 4> strides, std::int64_t first) {
      INFO(type << ", strides " << strides[0] << ", " << strides[1] << ", " << strides[2]);
      named[0] = dense;
      named[0].strides = strides;
      named[0].data = static_cast<const char*>(dense.data) + first * bytes;
      kernel.emulate(args, {});
      check_result(problem, args, tensors);
    };
    check(dense.strides, 0);
    check({0, 0, 1}, 0);         // one row of ids for all
    check({260, 130, -1}, 129);  // backwards
    check({-260, 130, 1}, 260);  // batch entries backwards
    check({0, 0, 0}, 5);         // one document
  }
}

TEST_CASE("biases of every type agree with float64, in vectors and without") {
  for (const char* type : {"f16", "bf16", "f32"}) {
    Problem problem{.head_dim = 64, .group_size = 2, .mask = causal()};
    problem.score =
        Expr::parse("score + bias:" + std::string(type) + "[head, q, k]", ExprRole::score);
    const EmulatedKernel kernel = kernel_of(problem, 0);
    // Rows of keys that are whole vectors, that begin within one, and that are none.
    for (const std::int64_t kv_len : {256, 264, 203, 202, 1}) {
      ForwardCase given{.problem = problem, .shape = {1, 1, 140, kv_len}, .q_offset = 100};
      check_call(kernel, given);
      given.kv_rows = Rows{kv_len / 3, kv_len};
      check_call(kernel, given);
      given.kv_rows = Rows{kv_len / 16 * 8, kv_len};
      check_call(kernel, given);
    }
  }
}

TEST_CASE("a bias inside a cap, and beside one, agrees with float64") {
  for (const char* score : {"cap * tanh((score + bias:bf16[head, q, k]) / cap)",
                            "cap * tanh(score / cap) + bias:f16[head, q, k]",
                            "cap * tanh((score + bias[head, q, k]) / cap) + bias[head, q, k]"}) {
    Problem problem{.head_dim = 64, .mask = causal(), .score = Expr::parse(score, ExprRole::score)};
    for (const int kind : {0, 1})
      check_call(kernel_of(problem, kind), {.problem = problem,
                                            .shape = {1, 2, 140, 200},
                                            .q_offset = 60,
                                            .scalars = {{"cap", 3.0}}});
  }
}

TEST_CASE("a sink may be huge, tiny or alone, in whole rows and in shares") {
  for (const int kind : {0, 1, 3}) {
    Problem problem{.head_dim = 64, .mask = causal()};
    problem.sink = scalar("logit", DType::f32);
    const EmulatedKernel kernel = kernel_of(problem, kind);
    for (const double logit : {-1e8, -200.0, 0.0, 5.0, 200.0, 1e6}) {
      const ForwardCase given{.problem = problem,
                              .shape = {1, 2, 200, 150},
                              .q_offset = -50,
                              .scalars = {{"logit", logit}}};
      INFO("kind " << kind << ", logit " << logit);
      const ForwardTensors tensors(given);
      kernel.emulate(tensors.args(), {});
      const OutputRow row{0, 1, 7};  // in front of all keys
      const RowValues values = read_rows(tensors.args(), std::span(&row, 1));
      CHECK(std::ranges::all_of(values.o, [](double o) { return o == 0; }));
      CHECK(std::abs(values.lse[0] - logit) <= 1e-6 * std::abs(logit));
      if (std::abs(logit) < 1e4) check_result(problem, tensors.args(), tensors);
    }
  }
}

TEST_CASE("scores of minus infinity have the weight 0") {
  for (const int kind : {0, 1, 3}) {
    Problem problem{.head_dim = 64, .score = Expr::parse("score + bias[q, k]", ExprRole::score)};
    const EmulatedKernel kernel = kernel_of(problem, kind);
    const ForwardTensors tensors({.problem = problem, .shape = {1, 2, 140, 200}, .q_offset = 0});
    auto* bias = data_of<float>(tensors, "bias");
    for (int q = 0; q < 140; q++)
      for (int k = 0; k < 200; k++)
        if (k / 64 == q % 4 || (q % 5 == 0 && k != 177))
          bias[q * 200 + k] = -std::numeric_limits<float>::infinity();
    for (int q = 0; q < 140; q++)
      if (q % 5 == 0) bias[q * 200 + 177] = 0.5F;  // one key is left
    INFO("kind " << kind);
    kernel.emulate(tensors.args(), {});
    check_result(problem, tensors.args(), tensors);
  }
}

TEST_CASE("windows wider than everything, and chunks, agree with float64") {
  for (const char* text :
       {"k <= q && k >= q - window", "q // n == k // n", "k <= q || k < window",
        "k <= q && q // n - k // n <= window", "q // 16 - k // 16 <= window && k <= q",
        "abs(q - k) <= window && (q - k) % n != 3"}) {
    const Problem problem = with_mask(text);
    const EmulatedKernel kernel = kernel_of(problem, 0);
    for (const std::int64_t offset : {-200, 0, 1000}) {
      ForwardCase given{.problem = problem,
                        .shape = {1, 1, 140, 200},
                        .q_offset = offset + 60,
                        .k_offset = offset};
      for (const ExprName& name : ExprNames(problem).scalars)
        given.scalars.push_back({name.name, 1 << 30});
      check_call(kernel, given);
    }
  }
}
