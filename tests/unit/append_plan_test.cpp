// What a launch of append_rows does, and what the family refuses.
#include <cstring>
#include <string>

#include "compiler/families/append_rows/append_rows.h"
#include "compiler/family_answers.h"
#include "streamattn/error.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

namespace streamattn {
namespace {

const Target& hopper() { return find_target("sm_90a"); }

Tensor at(int part, std::int64_t batch, std::int64_t seq, std::int64_t heads, std::int64_t dim) {
  return Tensor::bshd(reinterpret_cast<void*>(std::intptr_t{part} << 20), DType::bf16, batch, seq,
                      heads, dim);
}

/// A call at addresses that nobody reads, for a test to break.
struct Fixture {
  Problem problem{.head_dim = 128, .value_head_dim = 64, .group_size = 4};
  Schedule schedule = choose(Operation::append, problem, {}, hopper()).schedule;
  AppendArgs args = fresh();

  static AppendArgs fresh() {
    return {.new_k = at(1, 8, 4, 2, 128),
            .new_v = at(2, 8, 4, 2, 64),
            .k = at(3, 8, 500, 2, 128),
            .v = at(4, 8, 500, 2, 64),
            .rope = {.style = RopeStyle::split_half},
            .q = at(5, 8, 4, 8, 128),
            .rotated_q = at(6, 8, 4, 8, 128)};
  }

  Plan planned() {
    const auto encode = [](const char*, const BoxedTensor&) { return TensorMap{}; };
    const auto no_words = [](int) -> unsigned* { return nullptr; };
    WorkspaceSlices slices;
    const Plan steps = plan(problem, schedule, resolve(problem, args),
                            {132, hopper().l2_bytes, encode, no_words}, slices);
    CHECK(slices.bytes() == 0);
    return steps;
  }
  AppendParams params() {
    const Plan steps = planned();
    AppendParams p;
    std::memcpy(&p, std::get<KernelLaunch>(steps[0]).parameters(), sizeof(p));
    return p;
  }
  std::string complaint() {
    return error_of([&] { planned(); });
  }
};

std::string declines(const Problem& problem, const char* target = "sm_90a") {
  for (const FamilyAnswer& answer : family_answers(Operation::append, problem, find_target(target)))
    if (answer.family == "append_rows") return answer.declines;
  return "there is no such family";
}

}  // namespace

TEST_CASE_METHOD(Fixture, "an append is one launch over the heads of all tokens") {
  const Plan steps = planned();
  REQUIRE(steps.size() == 1);
  const AppendParams p = params();
  CHECK(p.tokens == 32);
  CHECK(p.item_heads == 1);
  CHECK(p.items == 32 * (8 + 2 + 2));
  // A row takes 8 lanes, 256 threads have 32 of them.
  CHECK(std::get<KernelLaunch>(steps[0]).blocks == 32 * 12 / 32);
  CHECK(p.rope.vectors == 8);
  CHECK(p.rope.steps[1] > 0);
}

TEST_CASE_METHOD(Fixture,
                 "many tokens share the sines of their heads and do not exceed the device") {
  for (Tensor* tensor : {&args.new_k, &args.new_v, &args.q, &args.rotated_q}) tensor->seq = 20000;
  CHECK(params().item_heads == 8);
  CHECK(std::get<KernelLaunch>(planned()[0]).blocks == 132 * 3);
  args.max_sms = 3;
  CHECK(std::get<KernelLaunch>(planned()[0]).blocks == 3 * 3);
  schedule.set("item_heads", std::int64_t{5});
  CHECK(params().token_items == 3);
}

TEST_CASE_METHOD(Fixture, "nothing to append is no launch") {
  for (Tensor* tensor : {&args.new_k, &args.new_v, &args.q, &args.rotated_q}) tensor->seq = 0;
  CHECK(planned().empty());
}

TEST_CASE_METHOD(Fixture, "what append_rows cannot address is refused by name") {
  args.k.seq_stride = 257;
  CHECK_THAT(complaint(), contains_text("k: seq_stride is 514 bytes, the GPU needs a multiple"));
  args = fresh();
  args.rope.dim = 40;
  CHECK_THAT(complaint(),
             contains_text("rope: dim is 40, the GPU needs a multiple of 16 up to 256"));
  args = fresh();
  args.k_offset = 1 << 29;
  CHECK_THAT(complaint(), contains_text("k: the first of 500 rows is at position 536870912"));
  args = fresh();
  args.new_k.seq = 1 << 29;
  CHECK_THAT(complaint(), contains_text("new_k: seq is 536870912, the GPU needs less than"));
}

TEST_CASE("the append family says what it does not serve") {
  CHECK(declines({}).empty());
  CHECK(declines({.dtype = DType::f32}) == "dtype f32: rows are of f16 or bf16");
  CHECK(declines({.head_dim = 60}) == "head_dim 60 is not a multiple of 8");
  CHECK(declines({.value_head_dim = 1032}) == "value_head_dim 1032 is more than 1024");
  CHECK(declines({}, "sm_80") == "sm_80 has no wgmma instructions, by which the cache is read");
  const auto complaint = [](const char* knobs) {
    const Problem problem{.head_dim = 1024};
    const Schedule schedule =
        parse_schedule(knobs, choose(Operation::append, problem, {}, hopper()).schedule);
    return error_of([&] { check(Operation::append, problem, schedule, hopper()); });
  };
  CHECK_THAT(complaint("threads=100"), contains_text("threads 100 is not a multiple of 32 in"));
  CHECK_THAT(complaint("threads=32"), contains_text("threads 32: a row takes 64"));
  const Schedule tile =
      parse_schedule("tile_q=0", choose(Operation::append, {}, {}, find_target("cpu")).schedule);
  CHECK_THAT(error_of([&] { check(Operation::append, {}, tile, find_target("cpu")); }),
             contains_text("cpu_append: tile_q 0 must be positive"));
}

}  // namespace streamattn
