// Merging shares on the CPU target, and what a merge launch refuses.
#include <cmath>
#include <limits>
#include <vector>

#include "compiler/family_answers.h"
#include "compiler/operations/merge/check.h"
#include "measure/accuracy.h"
#include "measure/merge_case.h"
#include "runtime/cpu/merge.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"
#include "tests/unit/cpu_run.h"

namespace streamattn {
namespace {

void merge(const Problem& problem, const MergeArgs& args) {
  check_merge(problem, args);
  cpu_merge(/*tile_q=*/7, resolve(problem, args));
}

}  // namespace

TEST_CASE("merges on the CPU are right for any types, layouts and numbers of shares") {
  std::uint64_t seed = 0;
  for (const DType type : {DType::f16, DType::bf16, DType::f32})
    for (const std::optional<DType> out : {std::optional<DType>(), std::optional(DType::f32)})
      for (const std::int64_t shares : {2, 3, 17})
        for (const Layout layout : {Layout::bshd, Layout::sparse}) {
          const MergeCase given{.forward = {.problem = {.dtype = type,
                                                        .out_dtype = out,
                                                        .value_head_dim = 24,
                                                        .group_size = 3},
                                            .shape = {.batch = 2, .kv_heads = 2, .q_len = 19},
                                            .layout = layout,
                                            .seed = ++seed},
                                .shares = shares,
                                .merged_dtype = seed % 2 == 0 ? type : DType::f32};
          INFO(given.describe());
          const MergeTensors tensors(given);
          merge(given.forward.problem, tensors.args());
          const MergeAccuracy found = check_merge_result(tensors);
          CHECK(found.rows == 2 * 6 * 19);
          CHECK(found.o <= 1);
          CHECK(found.lse <= 1);
          CHECK(found.untouched);
        }
}

TEST_CASE("forward calls over halves of the keys merge into one over all") {
  const ForwardCase given{.problem = {.dtype = DType::bf16,
                                      .out_dtype = DType::f32,
                                      .head_dim = 32,
                                      .group_size = 2,
                                      .mask = causal()},
                          .shape = {.batch = 2, .kv_heads = 2, .q_len = 60, .kv_len = 101}};
  const ForwardTensors tensors(given);
  const Sizes of_o{4, 60, 4, 32}, of_lse{4, 60, 4, 1};
  HostTensor share_o(DType::f32, of_o, Layout::bshd), share_lse(DType::f32, of_lse, Layout::bshd);
  for (const std::int64_t share : {0, 1}) {
    ForwardArgs half = tensors.args();
    half.kv_rows = share == 0 ? Rows{0, 70} : Rows{70, 101};  // many queries see none of the latter
    half.o = Tensor::bshd(static_cast<float*>(share_o.view().data) + share * 2 * 60 * 4 * 32,
                          DType::f32, 2, 60, 4, 32);
    half.lse = Tensor::bshd(static_cast<float*>(share_lse.view().data) + share * 2 * 60 * 4,
                            DType::f32, 2, 60, 4, 1);
    run(given.problem, half);
  }
  ForwardArgs whole = tensors.args();
  merge(given.problem, {share_o.view(), share_lse.view(), whole.o, whole.lse});
  const Errors errors = errors_of(given.problem, whole, sample_rows(whole, 1 << 20, 0));
  CHECK(errors.o <= errors.o_allowed);
  CHECK(errors.lse <= errors.lse_allowed);
}

TEST_CASE("shares without keys count nothing, and rows without any give 0 and -inf") {
  constexpr float none = -std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> share_o = {nan, nan, 3, nan, 5, nan};  // [3 shares, 2 rows]
  std::vector<float> share_lse = {none, none, 1, none, 1, none}, o(2), lse(2);
  const auto rows = [](std::vector<float>& data, std::int64_t batch) {
    return Tensor::bshd(data.data(), DType::f32, batch, 2, 1, 1);
  };
  const Problem problem{.dtype = DType::f32, .value_head_dim = 1};
  merge(problem, {rows(share_o, 3), rows(share_lse, 3), rows(o, 1), rows(lse, 1)});
  CHECK(o == std::vector<float>{4, 0});
  CHECK(lse[0] == Approx(1 + std::log(2)));
  CHECK(lse[1] == none);
  merge(problem, {rows(share_o, 3), rows(share_lse, 3), rows(o, 1)});  // without an LSE
}

TEST_CASE("merge arguments that do not fit are refused, sentence by sentence") {
  const MergeCase given{.forward = {.problem = {.dtype = DType::bf16, .value_head_dim = 8},
                                    .shape = {.batch = 2, .kv_heads = 3, .q_len = 5}}};
  const MergeTensors tensors(given);
  const auto says = [&](const auto& change, const char* text) {
    MergeArgs args = tensors.args();
    change(args);
    CHECK_THAT(error_of([&] { check_merge(given.forward.problem, args); }), contains_text(text));
  };
  says([](MergeArgs&) {}, "nothing");
  says([](MergeArgs& a) { a.lse = {}; }, "nothing");
  says([](MergeArgs& a) { a.share_o.dtype = DType::f16; },
       "share_o: dtype is f16, needs bf16 or f32");
  says([](MergeArgs& a) { a.share_lse.dtype = DType::bf16; },
       "share_lse: dtype is bf16, needs f32 (natural logarithms)");
  says([](MergeArgs& a) { a.share_o.batch = 2; },
       "share_o: batch is 2, needs a multiple of 2 (batch of o), 2 shares at least");
  says([](MergeArgs& a) { a.share_o.batch = 5; }, "share_o: batch is 5, needs a multiple of 2");
  says([](MergeArgs& a) { a.share_o.batch = -4; }, "share_o: batch is -4, must not be negative");
  says([](MergeArgs& a) { a.o.seq = -1; }, "o: seq is -1, must not be negative");
  says([](MergeArgs& a) { a.o.heads = a.o.seq = 1LL << 40; }, "rows are too many");
  says([](MergeArgs& a) { a.share_lse.batch = 6; }, "share_lse: batch is 6, needs 4 (as share_o)");
  says([](MergeArgs& a) { a.share_o.seq = 4; }, "share_o: seq is 4, needs 5 (seq of o)");
  says([](MergeArgs& a) { a.o.dim = 16; }, "o: dim is 16, needs 8 (value_head_dim)");
  says([](MergeArgs& a) { a.lse.heads = 2; }, "lse: heads is 2, needs 3 (heads of o)");
  says([](MergeArgs& a) { a.max_sms = -1; }, "max_sms: is -1, must not be negative");
  says([](MergeArgs& a) { a.o.data = nullptr; }, "o: data is null");
  says([](MergeArgs& a) { a.o.data = a.share_o.data; }, "o: overlaps share_o");
}

TEST_CASE("the merge families say what they do not serve") {
  const auto declines = [](const Problem& problem) {
    for (const FamilyAnswer& answer :
         family_answers(Operation::merge, problem, find_target("sm_90a")))
      if (answer.family == "merge_shares") return answer.declines;
    return std::string("there is no such family");
  };
  CHECK(declines({}).empty());
  CHECK(declines({.dtype = DType::f32}) ==
        "dtype f32: results are of f16, bf16 or, by themselves, f32");
  CHECK(declines({.value_head_dim = 36}) == "value_head_dim 36 is not a multiple of 8");
  const auto complaint = [](const char* knobs, const char* target) {
    const Target& where = find_target(target);
    const Schedule schedule =
        parse_schedule(knobs, choose(Operation::merge, {}, {}, where).schedule);
    return error_of([&] { check(Operation::merge, {}, schedule, where); });
  };
  CHECK_THAT(complaint("threads=16", "sm_90a"),
             contains_text("threads 16 is not a multiple of 32"));
  CHECK_THAT(complaint("tile_q=0", "cpu"), contains_text("cpu_merge: tile_q 0 must be positive"));
}

}  // namespace streamattn
