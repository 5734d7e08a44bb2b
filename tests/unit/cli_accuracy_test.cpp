// The check of results notices what is wrong.
#include <limits>

#include "measure/accuracy.h"
#include "measure/operands.h"
#include "streamattn/jit.h"
#include "support/half.h"
#include "tests/support/catch.h"

namespace streamattn {
namespace {

const ForwardCase small_case{
    .problem = {.dtype = DType::f32, .head_dim = 16, .group_size = 2, .mask = causal()},
    .shape = {2, 3, 20, 35},
    .layout = Layout::bhsd,
    .seed = 5};

struct Computed {
  ForwardCase given;
  ForwardTensors tensors{given};

  explicit Computed(const ForwardCase& wanted = small_case) : given(wanted) {
    const Jit jit = Jit::create({.target = "cpu"});
    run_once(jit.forward(given.problem, given.shape), tensors, *cpu_workbench());
  }

  float& o(std::size_t index) { return reinterpret_cast<float*>(tensors.o.bytes().data())[index]; }
  float& lse(std::size_t index) {
    return reinterpret_cast<float*>(tensors.lse.bytes().data())[index];
  }
  Accuracy check(double budget = reference_budget) {
    return check_accuracy(given, tensors, Arithmetic::float32, budget);
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

TEST_CASE("where plain attention has no error, as much as rounding the weights costs is allowed") {
  const DType type = GENERATE(DType::bf16, DType::f16);
  const Arithmetic arithmetic = GENERATE(Arithmetic::float32, Arithmetic::gpu);
  const auto check_off_by = [&](double error) {
    // Rows of one key are its V.
    Computed off({.problem = {.dtype = type, .out_dtype = DType::f32, .head_dim = 16},
                  .shape = {1, 2, 9, 1}});
    for (std::size_t i = 0; i < 2 * 9 * 16; ++i) off.o(i) *= static_cast<float>(1 + error);
    return check_accuracy(off.given, off.tensors, arithmetic);
  };
  REQUIRE(check_off_by(0).errors.plain_o == 0);
  CHECK(check_off_by(0.99 * unit_roundoff(type)).ok());
  CHECK_FALSE(check_off_by(1.01 * unit_roundoff(type)).ok());
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

TEST_CASE("what is written beside the asked-for rows fails the check") {
  ForwardCase ranged = small_case;
  ranged.gap = 1;
  ranged.q_rows = Rows{3, 20};
  Computed computed(ranged);
  CHECK(computed.check().ok());
  CHECK(computed.check().rows == 2 * 6 * 17);
  SECTION("in the gap between rows") { computed.o(17 * 5 - 1) = 0; }
  SECTION("in another row") { computed.o(17 * 2) = 0; }
  SECTION("in the LSE of another row") { computed.lse(2 * 2) = 0; }
  CHECK_FALSE(computed.check().untouched);
  CHECK_FALSE(computed.check().ok());
}

TEST_CASE("no LSE is no error, unless one was written") {
  ForwardCase without = small_case;
  without.with_lse = false;
  Computed computed(without);
  CHECK(computed.check().ok());
  computed.lse(7) = 0;
  CHECK_FALSE(computed.check().ok());
}

TEST_CASE("of a large problem a sample is checked, but every row must be written") {
  Computed computed(
      {.problem = {.dtype = DType::f32, .head_dim = 1}, .shape = {1, 1, 1 << 15, 64}});
  const Accuracy right = computed.check(1e6);
  CHECK(right.ok());
  CHECK(right.checked_rows < right.rows);
  computed.o(12345) = std::numeric_limits<float>::quiet_NaN();
  CHECK(computed.check(1e6).nan_rows == 1);
}

}  // namespace
}  // namespace streamattn
