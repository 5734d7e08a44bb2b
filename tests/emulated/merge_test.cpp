// Merge kernels, executed by the emulator, and planted faults.
#include "measure/merge_case.h"
#include "streamattn/error.h"
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"
#include "tests/support/golden_cases.h"

using namespace streamattn;

namespace {

class EmulatedMerge {
 public:
  /// Templates in `instead` take the place of their namesakes.
  explicit EmulatedMerge(const GoldenCase& golden, std::span<const EmbeddedFile> instead = {})
      : golden_(golden),
        program_(std::make_shared<const EmulatedProgram>(golden.program(), instead)) {}

  /// For any problem of the element type.
  MergeKernel kernel(const Problem& problem, const Emulation& how = {}) const {
    const Target& target = find_target("sm_90a");
    return MergeKernel(
        {Operation::merge, problem, {golden_.schedule, "golden"}, target},
        std::make_unique<EmulatedExecutor>(problem, golden_.schedule, target, program_, how));
  }

  MergeAccuracy emulate(const MergeCase& given, const Emulation& how = {}) const {
    MergeTensors tensors(given);
    run_once(kernel(given.forward.problem, how), tensors, *cpu_workbench());
    return check_merge_result(tensors);
  }

 private:
  GoldenCase golden_;
  std::shared_ptr<const EmulatedProgram> program_;
};

MergeCase call_of(const GoldenCase& golden, int value_head_dim = 40) {
  MergeCase given{
      .forward = {.problem = golden.problem, .shape = {.batch = 2, .kv_heads = 3, .q_len = 29}},
      .shares = 5};
  given.forward.problem.value_head_dim = value_head_dim;
  return given;
}

std::string report_of(const Fault& fault) {
  const std::string text = faulty_text(fault);
  const EmbeddedFile instead[] = {{fault.file, text}};
  const GoldenCase golden = golden_case("merge_shares_bf16");
  try {
    const EmulatedMerge kernel(golden, instead);
    return kernel.emulate(call_of(golden), {.slice_seconds = 0.2}).ok() ? "nothing"
                                                                        : "wrong result";
  } catch (const Error& error) {
    if (error.code() != ErrorCode::launch_failed) throw;
    return error.what();
  }
}

}  // namespace

TEST_CASE("golden merge kernels agree with float64 for all types and sizes") {
  for (const GoldenCase& golden : merge_golden_cases()) {
    const EmulatedMerge kernel(golden);
    for (const int dim : {8, 40, 128, 1024})
      for (const bool shares_are_float : {false, true})
        for (const bool o_is_float : {false, true}) {
          MergeCase given = call_of(golden, dim);
          if (dim == 1024) given.forward.shape.q_len = 2;
          if (shares_are_float) given.forward.problem.out_dtype = DType::f32;
          given.merged_dtype = o_is_float ? DType::f32 : golden.problem.dtype;
          given.forward.layout = o_is_float ? Layout::bhsd : Layout::bshd;
          INFO(given.describe());
          const MergeAccuracy found = kernel.emulate(given, {.multiprocessors = 3});
          CHECK(found.o <= 1);
          CHECK(found.lse <= 1);
          CHECK(found.untouched);
        }
  }
}

TEST_CASE("emulated forward calls over halves of the keys merge into one over all") {
  GoldenCase half_kernel = golden_case("decode_wgmma_bf16_f32_d256_g16");
  const EmulatedKernel forward(half_kernel.problem, {half_kernel.schedule, "golden"},
                               half_kernel.program());
  const ForwardCase given{.problem = half_kernel.problem,
                          .shape = {.batch = 2, .kv_heads = 1, .q_len = 1, .kv_len = 200}};
  const ForwardTensors tensors(given);
  ForwardArgs whole = tensors.args();
  constexpr std::int64_t rows = 2 * 1 * 16;
  HostTensor share_o(DType::f32, {4, 1, 16, 256}, Layout::bshd);
  HostTensor share_lse(DType::f32, {4, 1, 16, 1}, Layout::bshd);
  for (const std::int64_t share : {0, 1}) {
    ForwardArgs half = tensors.args();
    half.kv_rows = share == 0 ? Rows{0, 72} : Rows{72, 200};
    half.o = Tensor::bshd(static_cast<float*>(share_o.view().data) + share * rows * 256, DType::f32,
                          2, 1, 16, 256);
    half.lse = Tensor::bshd(static_cast<float*>(share_lse.view().data) + share * rows, DType::f32,
                            2, 1, 16, 1);
    forward.launch(half);
  }
  const EmulatedMerge merge(golden_case("merge_shares_bf16"));
  merge.kernel(given.problem).launch({share_o.view(), share_lse.view(), whole.o, whole.lse});
  const Errors errors = errors_of(given.problem, whole, all_rows(whole));
  CHECK(errors.ok());
}

TEST_CASE("a merge without rows is no launch, and what cannot be addressed is refused by name") {
  const GoldenCase golden = golden_case("merge_shares_bf16");
  const EmulatedMerge kernel(golden);
  MergeCase given = call_of(golden);
  given.forward.shape.q_len = 0;
  CHECK(kernel.emulate(given).ok());
  given = call_of(golden);
  given.forward.gap = 1;
  const MergeTensors tensors(given);
  CHECK_THROWS_WITH(kernel.kernel(given.forward.problem).launch(tensors.args()),
                    contains_text("share_o: batch_stride is"));
}

TEST_CASE("faults of merge kernels are noticed") {
  constexpr const char *shares = "parts/shares.cuh", *merge = "merge/merge_shares.cuh";
  const std::pair<const char*, Fault> faults[] = {
      {"shares are added without weights", {shares, "exp2_approx((", "1 + 0 * exp2_approx(("}},
      {"a row without keys is merged as any",
       {shares, "largest == -infinity ? 0 : largest", "largest"}},
      {"the last share is left out", {shares, "s < shares", "s + 1 < shares"}},
      {"the sum is left out of the LSE", {shares, "base + log2_approx(sum) * ln_2", "base"}},
      {"what a share without keys holds counts", {merge, "lse_of(s) == -infinity", "false"}},
      {"all shares are the first", {merge, "first + s * params.share_o_stride", "first"}},
      {"one LSE for all shares", {merge, "lse + s * params.share_lse_stride", "lse"}},
      {"every column stores the LSE", {merge, "out.lse && column == 0", "out.lse"}},
      {"rows of heads are mixed up", {merge, "head = row % params.heads", "head = 0"}},
  };
  for (const auto& [what, fault] : faults) {
    INFO(what);
    CHECK(report_of(fault) != "nothing");
  }
}
