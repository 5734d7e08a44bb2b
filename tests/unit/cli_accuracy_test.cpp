// The check of results notices what is wrong.
#include <cmath>
#include <limits>

#include "measure/accuracy.h"
#include "streamattn/jit.h"
#include "tests/support/catch.h"

namespace streamattn {
namespace {

struct Computed {
  Call call{.problem = {.dtype = DType::f32, .head_dim = 16, .group_size = 2, .mask = causal()},
            .shape = {2, 3, 20, 35},
            .layout = DenseLayout::bhsd};
  HostTensors tensors;

  Computed() {
    const auto bench = cpu_workbench();
    const Jit jit = Jit::create({.target = "cpu"});
    tensors = random_inputs(call, Distribution::normal, 5);
    const Operands operands(call, tensors, *bench);
    operands.launch_of(jit.forward(call.problem, call.shape))(nullptr);
    operands.download_outputs(tensors);
  }

  float& o(std::size_t index) { return reinterpret_cast<float*>(tensors.o.data())[index]; }
  float& lse(std::size_t index) { return reinterpret_cast<float*>(tensors.lse.data())[index]; }
  Accuracy check(double budget = reference_budget) {
    return check_accuracy(call, tensors, 1, budget);
  }
};

TEST_CASE("a right result passes, and every row of a small one is checked") {
  Computed computed;
  const Accuracy accuracy = computed.check();
  CHECK(accuracy.ok());
  CHECK(accuracy.rows == 2 * 6 * 20);
  CHECK(accuracy.checked_rows == accuracy.rows);
}

TEST_CASE("one wrong element fails the check") {
  Computed computed;
  computed.o(777) += 0.1F;
  CHECK_FALSE(computed.check().ok());
}

TEST_CASE("a wrong log-sum-exp fails the check") {
  Computed computed;
  computed.lse(100) += 0.01F;
  CHECK_FALSE(computed.check().ok());
}

TEST_CASE("rows that were not written are counted") {
  Computed computed;
  computed.o(0) = std::numeric_limits<float>::quiet_NaN();
  computed.o(16 * 30 + 3) = std::numeric_limits<float>::quiet_NaN();
  computed.lse(200) = std::numeric_limits<float>::quiet_NaN();
  const Accuracy accuracy = computed.check();
  CHECK(accuracy.nan_rows == 3);
  CHECK_FALSE(accuracy.ok());
}

TEST_CASE("of a large problem a sample is checked, but every row must be written") {
  Computed computed;
  Call& call = computed.call;
  call.problem = {.dtype = DType::f32, .head_dim = 1};
  constexpr int rows = 1 << 15, keys = 64;
  call.shape = {1, 1, rows, keys};
  // With one key row repeated the result is that of V, whatever the scores are.
  computed.tensors.q.assign(sizeof(float) * rows, std::byte{0});
  computed.tensors.k.assign(sizeof(float) * keys, std::byte{0});
  computed.tensors.v.assign(sizeof(float) * keys, std::byte{0});
  computed.tensors.o.assign(sizeof(float) * rows, std::byte{0});
  computed.tensors.lse.resize(sizeof(float) * rows);
  for (int i = 0; i < rows; ++i) computed.lse(i) = static_cast<float>(std::log(keys));
  const Accuracy right = computed.check(1e6);
  CHECK(right.ok());
  CHECK(right.checked_rows < right.rows);
  computed.o(12345) = std::numeric_limits<float>::quiet_NaN();
  CHECK(computed.check(1e6).nan_rows == 1);
}

}  // namespace
}  // namespace streamattn
