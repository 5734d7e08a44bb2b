// The emulator beside the GPU: the same kernels on the same inputs.
#include "emulator/emulated_kernel.h"
#include "tests/emulated/emulated_case.h"
#include "tests/gpu/gpu_case.h"
#include "tests/support/catch.h"
#include "tests/support/skip.h"

using namespace streamattn;

namespace {

/// A host tensor's copy on the device.
class Twin {
 public:
  explicit Twin(HostTensor& host)
      : host_(host), device_({begin(), begin() + host.bytes().size()}) {}

  Tensor view() const { return host_.view_at(device_.data()); }

  void download() {
    const std::vector<char> content = device_.read();
    std::copy(content.begin(), content.end(), begin());
  }

 private:
  char* begin() const { return reinterpret_cast<char*>(host_.bytes().data()); }

  HostTensor& host_;
  DeviceBuffer device_;
};

RowValues on_gpu(const ForwardKernel& kernel, ForwardTensors& tensors) {
  Twin q(tensors.q), k(tensors.k), v(tensors.v), o(tensors.o), lse(tensors.lse);
  kernel.launch({.q = q.view(), .k = k.view(), .v = v.view(), .o = o.view(), .lse = lse.view()});
  o.download();
  lse.download();
  return read_rows(tensors.args(), all_rows(tensors.args()));
}

}  // namespace

TEST_CASE("the emulator's results are the GPU's but for the order of sums") {
  if (const auto reason = no_gpu_reason(); !reason.empty()) SKIP_TEST(reason);
  for (const GoldenCase& golden : golden_cases()) {
    INFO(golden.name);
    const Problem& problem = golden.problem;
    const ForwardCase given{.problem = problem, .shape = {1, 2, 300, 413}};
    ForwardTensors there(given);
    const RowValues gpu = on_gpu(gpu_jit().forward(problem, golden.schedule), there);
    const ForwardTensors here(given);
    const auto rows = all_rows(here.args());
    const EmulatedKernel kernel(problem, {golden.schedule, "golden"}, golden.program());
    kernel.launch(here.args());
    const RowValues emulated = read_rows(here.args(), rows);
    // Sums in another order move a score by an ulp of float32, which now and then moves P or O by
    // an ulp of the element type; all of plain attention's error is of that kind.
    const RowValues exact = reference_forward(problem, here.args(), rows);
    const RowValues plain = plain_forward(problem, here.args(), rows);
    CHECK(relative_error(emulated.o, gpu.o) <= relative_error(plain.o, exact.o) / 2);
    CHECK(max_error(emulated.lse, gpu.lse) <= 2e-5);
  }
}
