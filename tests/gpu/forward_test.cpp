// Forward kernels on a GPU against float64.
#include <llvm/Support/Parallel.h>

#include <algorithm>

#include "measure/accuracy.h"
#include "measure/operands.h"
#include "tests/gpu/gpu_case.h"
#include "tests/support/catch.h"
#include "tests/support/planted_values.h"
#include "tests/support/skip.h"

using namespace streamattn;

#define NEEDS_GPU() \
  if (auto reason = no_gpu_reason(); !reason.empty()) SKIP_TEST(reason)

namespace {

/// Whether two launches give the same bits.
bool is_repeatable(const ForwardCase& given, const ForwardKernel& kernel) {
  const ForwardTensors once = result_of(given, kernel), again = result_of(given, kernel);
  return std::ranges::equal(once.o.bytes(), again.o.bytes());
}

// Compiles for all cases on all cores first: that is most of the time of these tests.
void check_cases(const std::vector<ForwardCase>& cases) {
  llvm::parallelFor(0, cases.size(),
                    [&](std::size_t i) { gpu_jit().forward(cases[i].problem, cases[i].shape); });
  for (const ForwardCase& c : cases) check_case(c, gpu_jit().forward(c.problem, c.shape));
}

}  // namespace

TEST_CASE("every head_dim, dtype and mask is as accurate as plain attention") {
  NEEDS_GPU();
  std::vector<ForwardCase> cases;
  for (int head_dim = 16; head_dim <= 256; head_dim += 8)
    for (DType dtype : {DType::bf16, DType::f16})
      for (const Expr& mask : {Expr(), causal()})
        cases.push_back({.problem = {.dtype = dtype, .head_dim = head_dim, .mask = mask},
                         .shape = {2, 2, 333, 333},
                         .seed = static_cast<std::uint64_t>(head_dim)});
  check_cases(cases);
}

TEST_CASE("outliers keep the accuracy of plain attention") {
  NEEDS_GPU();
  std::vector<ForwardCase> cases;
  for (int head_dim : {16, 64, 72, 96, 128, 192, 256})
    for (DType dtype : {DType::bf16, DType::f16})
      for (const Expr& mask : {Expr(), causal()})
        cases.push_back({.problem = {.dtype = dtype, .head_dim = head_dim, .mask = mask},
                         .shape = {1, 3, 700, 700},
                         .distribution = Distribution::outliers,
                         .seed = 5});
  check_cases(cases);
}

TEST_CASE("the value head_dim may differ from head_dim") {
  NEEDS_GPU();
  std::vector<ForwardCase> cases;
  const int dims[][2] = {{192, 128}, {64, 256}, {256, 64}, {128, 64},
                         {40, 72},   {16, 248}, {256, 72}, {256, 200}};
  for (auto [head_dim, value_head_dim] : dims)
    for (const Expr& mask : {Expr(), causal()})
      cases.push_back(
          {.problem = {.head_dim = head_dim, .value_head_dim = value_head_dim, .mask = mask},
           .shape = {2, 2, 257, 300}});
  check_cases(cases);
}

TEST_CASE("float32 output is stored directly") {
  NEEDS_GPU();
  std::vector<ForwardCase> cases;
  for (int head_dim : {24, 64, 128, 256})
    for (DType dtype : {DType::bf16, DType::f16})
      cases.push_back({.problem = {.dtype = dtype,
                                   .out_dtype = DType::f32,
                                   .head_dim = head_dim,
                                   .mask = causal()},
                       .shape = {2, 2, 200, 259}});
  check_cases(cases);
}

TEST_CASE("any lengths work, also where rows see no key") {
  NEEDS_GPU();
  std::vector<ForwardCase> cases;
  for (int head_dim : {64, 128, 256})
    for (const Expr& mask : {Expr(), causal()})
      for (std::int64_t q_len : {1, 63, 64, 65, 129, 1000})
        for (std::int64_t kv_len : {0, 1, 16, 127, 128, 129, 640})
          cases.push_back(
              {.problem = {.head_dim = head_dim, .mask = mask}, .shape = {2, 1, q_len, kv_len}});
  check_cases(cases);
}

TEST_CASE("a tensor without elements is no work") {
  NEEDS_GPU();
  std::vector<ForwardCase> cases;
  Problem problem{.head_dim = 64};
  cases.push_back({.problem = problem, .shape = {0, 2, 5, 5}});
  cases.push_back({.problem = problem, .shape = {2, 0, 5, 5}});
  cases.push_back({.problem = problem, .shape = {2, 2, 0, 5}});
  check_cases(cases);
}

TEST_CASE("query heads share key-value heads in groups of any size") {
  NEEDS_GPU();
  std::vector<ForwardCase> cases;
  for (int group : {2, 3, 8, 32})
    for (const Expr& mask : {Expr(), causal()})
      cases.push_back({.problem = {.head_dim = 128, .group_size = group, .mask = mask},
                       .shape = {2, 2, 190, 401}});
  check_cases(cases);
}

TEST_CASE("any order of dimensions and padded rows are read and written in place") {
  NEEDS_GPU();
  std::vector<ForwardCase> cases;
  for (Layout layout : {Layout::bshd, Layout::bhsd, Layout::sbhd})
    for (std::int64_t gap : {0, 8, 24})
      for (DType out : {DType::bf16, DType::f32})
        cases.push_back(
            {.problem = {.out_dtype = out, .head_dim = 72, .group_size = 2, .mask = causal()},
             .shape = {3, 2, 150, 170},
             .layout = layout,
             .gap = gap});
  check_cases(cases);
}

TEST_CASE("offsets move the diagonal of a causal mask") {
  NEEDS_GPU();
  std::vector<ForwardCase> cases;
  const std::int64_t offsets[][2] = {{0, 0},     {100, 0}, {-50, 0}, {0, 77}, {1000000, 999900},
                                     {-1000, 0}, {5000, 0}};
  for (auto [q_offset, k_offset] : offsets)
    cases.push_back({.problem = {.head_dim = 128, .mask = causal()},
                     .shape = {1, 2, 300, 500},
                     .q_offset = q_offset,
                     .k_offset = k_offset});
  check_cases(cases);
}

TEST_CASE("row sub-ranges compute and write only their rows") {
  NEEDS_GPU();
  std::vector<ForwardCase> cases;
  for (const Expr& mask : {Expr(), causal()})
    for (Rows q_rows : {Rows{0, 300}, Rows{17, 18}, Rows{100, 300}, Rows{150, 150}})
      for (Rows kv_rows : {Rows{0, 400}, Rows{33, 210}, Rows{399, 400}, Rows{7, 7}})
        cases.push_back({.problem = {.head_dim = 64, .group_size = 2, .mask = mask},
                         .shape = {2, 2, 300, 400},
                         .q_rows = q_rows,
                         .kv_rows = kv_rows});
  check_cases(cases);
}

TEST_CASE("NaN and infinity in V reach the rows that see their keys and no others") {
  NEEDS_GPU();
  constexpr const char* masks[] = {"k <= q", "k <= q && k > q - 70", "k <= q && k < 1000",
                                   "k < length[batch]", "k <= q && doc[batch, q] == doc[batch, k]"};
  for (const char* mask : masks)
    for (const int head_dim : {64, 128, 256})
      for (const std::int64_t q_len : {100, 1100}) {  // shares of the keys, and not
        const ForwardCase given{
            .problem = {.head_dim = head_dim, .group_size = 2, .mask = Expr::parse(mask)},
            .shape = {.batch = 2, .kv_heads = 1, .q_len = q_len, .kv_len = 1200},
            .q_offset = 100};
        INFO(given.describe());
        ForwardTensors tensors(given);
        plant_not_finite(tensors, 50, /*seed=*/7);
        run_once(gpu_jit().forward(given.problem, given.shape), tensors, *gpu_workbench(0));
        const Errors errors =
            errors_of(given.problem, tensors.args(), all_rows(tensors.args()), {}, Arithmetic::gpu);
        CHECK(errors.ok());
      }
}

TEST_CASE("a cap on multiprocessors and any scale give the same accuracy") {
  NEEDS_GPU();
  std::vector<ForwardCase> cases;
  for (int max_sms : {1, 7, 1000})
    cases.push_back({.problem = {.head_dim = 128, .mask = causal()},
                     .shape = {2, 4, 500, 500},
                     .max_sms = max_sms});
  for (float scale : {1e-3F, 0.5F, 2.F})
    cases.push_back({.problem = {.head_dim = 64}, .shape = {1, 2, 300, 900}, .scale = scale});
  check_cases(cases);
}

TEST_CASE("the LSE may be left out") {
  NEEDS_GPU();
  std::vector<ForwardCase> cases;
  cases.push_back({.problem = {.head_dim = 64}, .shape = {1, 1, 100, 100}, .with_lse = false});
  check_cases(cases);
}

TEST_CASE("every kind of schedule gives an accurate and repeatable result") {
  NEEDS_GPU();
  const char* changes[] = {
      "math_warpgroups=2,tile_q=128,tile_kv=128",
      "math_warpgroups=2,tile_q=128,tile_kv=176,q_in_registers=false,o_buffer=false",
      "math_warpgroups=3,tile_q=192,tile_kv=80,q_in_registers=false",
      "math_warpgroups=1,tile_q=64,tile_kv=64,ping_pong=false",
      "softmax=exact",
      "softmax=stale",
      "ping_pong=false",
      "tile_order=fixed",
      "q_in_registers=false",
      "q_in_registers=false,o_buffer=false",
      "tile_kv=48,stages=3",
      "section_heads=1",
      "section_heads=3"};
  for (const Expr& mask : {Expr(), causal()}) {
    ForwardCase c{.problem = {.head_dim = 128, .mask = mask}, .shape = {2, 5, 900, 900}};
    const Schedule base = parse_schedule(
        "stages=2", schedules(Operation::forward, c.problem, c.shape, gpu_jit().target()).front());
    for (const char* change : changes) {
      const ForwardKernel& kernel = gpu_jit().forward(c.problem, parse_schedule(change, base));
      check_case(c, kernel);
      CHECK(is_repeatable(c, kernel));
    }
  }
}

TEST_CASE("split keys are as accurate, and give the same bits each time") {
  NEEDS_GPU();
  const auto split = [](const ForwardCase& c, int splits) -> const ForwardKernel& {
    const Schedule guess =
        choose(Operation::forward, c.problem, {.kv_heads = 1, .q_len = 64, .kv_len = 1 << 15},
               gpu_jit().target())
            .schedule;
    return gpu_jit().forward(c.problem, parse_schedule("splits=" + std::to_string(splits), guess));
  };
  std::vector<ForwardCase> cases;
  for (int head_dim : {16, 64, 72, 128, 192, 256})
    for (const Expr& mask : {Expr(), causal()})
      cases.push_back({.problem = {.head_dim = head_dim, .mask = mask}, .shape = {2, 2, 70, 3001}});
  cases.push_back({.problem = {.dtype = DType::f16, .out_dtype = DType::f32, .group_size = 3},
                   .shape = {1, 2, 1, 5000}});
  cases.push_back({.problem = {.head_dim = 192, .value_head_dim = 128, .mask = causal()},
                   .shape = {1, 1, 300, 900},
                   .layout = Layout::sbhd,
                   .gap = 8,
                   .q_offset = -100,  // rows that see no key
                   .q_rows = Rows{17, 280},
                   .kv_rows = Rows{5, 801}});
  cases.push_back({.problem = {.head_dim = 64}, .shape = {1, 1, 100, 0}, .with_lse = false});
  for (const ForwardCase& c : cases)
    for (int splits : {1, 3, 16, 0}) {
      const ForwardKernel& kernel = split(c, splits);
      REQUIRE(kernel.resources().size() == 2);
      check_case(c, kernel);
      CHECK(is_repeatable(c, kernel));
    }
}

TEST_CASE("few query tiles against many keys get split keys, many query tiles do not") {
  NEEDS_GPU();
  const Problem problem{.head_dim = 128, .mask = causal()};
  const auto kernels = [&](const Shape& shape) {
    return gpu_jit().forward(problem, shape).resources().size();
  };
  CHECK(kernels({.kv_heads = 8, .q_len = 64, .kv_len = 1 << 15}) == 2);
  CHECK(kernels({.kv_heads = 8, .q_len = 64, .kv_len = 256}) == 1);
  CHECK(kernels({.kv_heads = 16, .q_len = 4096, .kv_len = 4096}) == 1);
}

TEST_CASE("sequences of many tiles and heads are computed whole") {
  NEEDS_GPU();
  std::vector<ForwardCase> cases;
  for (int head_dim : {64, 128, 256})
    for (const Expr& mask : {Expr(), causal()})
      cases.push_back({.problem = {.head_dim = head_dim, .group_size = 4, .mask = mask},
                       .shape = {3, 3, 4097, 4097}});
  check_cases(cases);
}

// What compute-sanitizer is run on.
TEST_CASE("one small launch of each skeleton") {
  NEEDS_GPU();
  for (int head_dim : {64, 128, 256})
    for (const Expr& mask : {Expr(), causal()}) {
      ForwardCase c{
          .problem = {.head_dim = head_dim, .mask = mask}, .shape = {1, 3, 450, 450}, .max_sms = 2};
      check_cases({c});
      const Schedule chosen = gpu_jit().forward(c.problem, c.shape).schedule();
      check_case(c, gpu_jit().forward(
                        c.problem, parse_schedule("split_keys=true,splits=3,o_passes=1", chosen)));
    }
}
