// Problems, element types, targets and error codes: the plain values of the API.
#include "streamattn/problem.h"

#include <limits>
#include <set>

#include "streamattn/compiler.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;

TEST_CASE("every element type is found under its name") {
  for (DType type : {DType::f16, DType::bf16, DType::f32}) CHECK(parse_dtype(name(type)) == type);
  CHECK(bytes(DType::f16) == 2);
  CHECK(bytes(DType::bf16) == 2);
  CHECK(bytes(DType::f32) == 4);
}

TEST_CASE("element types are known by the names that others have for them") {
  for (const char* text : {"fp16", "float16", "half"}) CHECK(parse_dtype(text) == DType::f16);
  CHECK(parse_dtype("bfloat16") == DType::bf16);
  for (const char* text : {"fp32", "float32", "float"}) CHECK(parse_dtype(text) == DType::f32);
  CHECK_THROWS_AS(parse_dtype(""), Error);
}

TEST_CASE("an unknown element type is refused with the known ones") {
  CHECK(error_of([] { parse_dtype("f64"); }) ==
        "invalid_argument: unknown element type \"f64\", known: f16, bf16, f32, i32, u8");
}

TEST_CASE("every target is found under its name") {
  REQUIRE(targets().size() >= 2);
  for (const Target& target : targets()) CHECK(find_target(target.name) == target);
  CHECK(find_target("sm_90a").smem_bytes == 227 * 1024);
  CHECK(find_target("sm_90a").has_wgmma);
  CHECK(find_target("cpu").is_cpu());
}

TEST_CASE("the targets that a family serves are known without a device") {
  REQUIRE(served_targets().size() == 2);
  CHECK(*served_targets()[0] == find_target("sm_90a"));
  CHECK(*served_targets()[1] == find_target("cpu"));
  CHECK_THAT(error_of([] { choose(Operation::forward, {}, {}, find_target("sm_89")); }),
             contains_text("flash_wgmma: sm_89 has no wgmma instructions"));
}

TEST_CASE("sizes that no call can have are refused before they are multiplied") {
  const auto complaint = [](const Shape& shape) {
    return error_of([&] { choose(Operation::forward, {}, shape, find_target("cpu")); });
  };
  CHECK(complaint({.batch = -1}) == "invalid_argument: shape: batch is -1, needs 0 to 2^40");
  CHECK(complaint({.kv_len = std::numeric_limits<std::int64_t>::max()}) ==
        "invalid_argument: shape: kv_len is 9223372036854775807, needs 0 to 2^40");
  CHECK(complaint({.q_len = std::int64_t{1} << 40}) == "nothing");
}

TEST_CASE("an unknown target is refused with the known ones") {
  CHECK(error_of([] { find_target("sm_90"); }) ==
        "invalid_argument: unknown target \"sm_90\", known: sm_80, sm_89, sm_90a, sm_100a, cpu");
}

TEST_CASE("every error code has a name of its own") {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::cache_io); ++code) {
    names.insert(name(static_cast<ErrorCode>(code)));
  }
  CHECK(names.size() == static_cast<int>(ErrorCode::cache_io) + 1);
  CHECK(names.count("unknown") == 0);
  CHECK(name(ErrorCode::unsupported_problem) == "unsupported_problem");
}

TEST_CASE("the description of a problem is one canonical line") {
  const Problem grouped{.group_size = 4, .mask = causal()};
  CHECK(grouped.describe() == "bf16 -> bf16, head_dim 128, group 4; mask: k <= q");
  const Problem mixed{
      .dtype = DType::f16, .out_dtype = DType::f32, .head_dim = 192, .value_head_dim = 128};
  CHECK(mixed.describe() == "f16 -> f32, head_dim 192, value_head_dim 128, group 1; mask: true");
  CHECK(Problem{.dropout = true}.describe() ==
        "bf16 -> bf16, head_dim 128, group 1; mask: true; dropout");
}

TEST_CASE("a problem says whether its score is more than the scaled product") {
  CHECK_FALSE(Problem{}.changes_score());
  CHECK_FALSE(Problem{.score = Expr::parse("score + 0", ExprRole::score)}.changes_score());
  for (const char* text : {"score * 2", "0.5", "tanh(score)", "q - k"})
    CHECK(Problem{.score = Expr::parse(text, ExprRole::score)}.changes_score());
}

TEST_CASE("problems differ exactly where their descriptions do") {
  const Problem problems[] = {
      {},
      {.dtype = DType::f16},
      {.out_dtype = DType::f32},
      {.out_dtype = DType::bf16},
      {.head_dim = 64},
      {.value_head_dim = 64},
      {.value_head_dim = 128},
      {.group_size = 2},
      {.mask = causal()},
      {.mask = Expr::parse("q >= k")},
      {.dropout = true},
  };
  for (const Problem& a : problems) {
    for (const Problem& b : problems) {
      INFO(a.describe() << " against " << b.describe());
      CHECK((a == b) == (a.describe() == b.describe()));
    }
  }
  CHECK(problems[0] == problems[3]);  // the default, spelled out
  CHECK(problems[0] == problems[6]);
}

TEST_CASE("a problem that contradicts itself is refused") {
  const auto complaint = [](const Problem& problem) {
    return error_of([&] { problem.validate(); });
  };
  CHECK(complaint({.head_dim = 0}) == "invalid_problem: head_dim 0 is not in 1..32768");
  CHECK(complaint({.head_dim = 40000}) == "invalid_problem: head_dim 40000 is not in 1..32768");
  CHECK(complaint({.value_head_dim = -1}) ==
        "invalid_problem: value_head_dim -1 is not in 1..32768");
  CHECK(complaint({.group_size = 0}) == "invalid_problem: group_size 0 is not in 1..32768");
  CHECK(complaint({.dtype = DType::bf16, .out_dtype = DType::f16}) ==
        "invalid_problem: out_dtype f16 with dtype bf16: the output is of the input's type or f32");
  CHECK_NOTHROW(Problem{.dtype = DType::f16, .out_dtype = DType::f32, .head_dim = 1}.validate());
}
