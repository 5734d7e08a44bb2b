// What a mask hides gets into no gradient of a backward kernel, whatever it holds.
#include <cmath>
#include <limits>
#include <vector>

#include "measure/backward_reference.h"
#include "support/half.h"
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"
#include "tests/support/golden_cases.h"
#include "tests/support/planted_values.h"

using namespace streamattn;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN(),
                 infinite = std::numeric_limits<double>::infinity();

/// Keys from 200 on are hidden from all of 200 queries, and the first 50 of these see none. Hidden
/// rows of all operands hold what is not finite.
BackwardCase hidden_case(const GoldenCase& golden) {
  BackwardCase given = backward_call_of(golden, {1, 1, 200, 300});
  given.forward.q_offset = -50;
  return given;
}
void plant_k(BackwardTensors& tensors) {
  for (const std::int64_t key : {215, 299}) plant(tensors.forward.k, key, key % 7, not_a_number);
}
void plant_q(BackwardTensors& tensors) {
  for (const std::int64_t query : {0, 17, 49})
    plant(tensors.forward.q, query, query % 5, -infinite);
}
void plant_hidden(BackwardTensors& tensors) {
  plant_k(tensors), plant_q(tensors);
  plant(tensors.forward.k, 150, 0, not_a_number);  // the query behind the last one would see it
  plant(tensors.forward.v, 151, 3, infinite);
  plant(tensors.d_o, 18, 2, not_a_number);
}

void plant_and_compute(const BackwardCase& given, BackwardTensors& tensors,
                       void (*planted)(BackwardTensors&)) {
  planted(tensors);
  compute_outputs(given, tensors);
}

BackwardTensors emulated(const GoldenCase& golden, const BackwardCase& given,
                         void (*planted)(BackwardTensors&)) {
  return EmulatedBackward(golden).emulate(
      given, {.multiprocessors = 3},
      [&](BackwardTensors& tensors) { plant_and_compute(given, tensors, planted); });
}

constexpr const char* kernels[] = {
    "backward_wgmma_bf16_d64_causal",        "backward_wgmma_bf16_d128_g4_causal",
    "backward_wgmma_f16_d128_causal",        "backward_wgmma_bf16_d192x128_causal",
    "backward_wgmma_f16_d256_causal",        "backward_wgmma_bf16_d64_causal_relative",
    "backward_wgmma_bf16_d128_causal_alibi", "backward_wgmma_bf16_d128_causal_dropout"};

}  // namespace

TEST_CASE("what no query sees, and queries that see nothing, leave gradients as they are") {
  for (const char* name : kernels) {
    const GoldenCase golden = golden_case(name);
    const BackwardCase given = hidden_case(golden);
    INFO(name << ": " << given.describe());
    check_gradients(given, emulated(golden, given, plant_hidden));
  }
}

TEST_CASE("gradients that are added to what is there have nothing of what is hidden") {
  for (const char* name : {"backward_wgmma_bf16_d64_causal", "backward_wgmma_f16_d256_causal"}) {
    const GoldenCase golden = golden_case(name);
    BackwardCase given = hidden_case(golden);
    given.gradient_dtype = DType::f32;
    given.accumulate = true;
    INFO(name << ": " << given.describe());
    check_gradients(given, emulated(golden, given, plant_hidden));
  }
}

TEST_CASE("what is not finite reaches the queries that see it, and no others") {
  for (const char* name : kernels) {
    const GoldenCase golden = golden_case(name);
    if (golden.problem.dropout) continue;
    BackwardCase given = backward_call_of(golden, {1, 1, 200, 200});
    const BackwardTensors tensors = emulated(golden, given, [](BackwardTensors& planted) {
      plant(planted.forward.k, 140, 1, not_a_number);
      plant(planted.forward.v, 160, 1, not_a_number);
    });
    INFO(name);
    const BackwardArgs args = tensors.args();
    std::vector<OutputRow> spared;
    for (std::int64_t row = 0; row < 140; row++) spared.push_back({0, 0, row});
    const GradientValues exact = query_gradients(golden.problem, args, spared, Precision::float64);
    double error = 0, size = 0;
    std::int64_t others = 0;
    for (std::int64_t row = 0; row < 200; row++)
      for (std::int64_t d = 0; d < args.d_q.dim; d++) {
        const double found =
            load_element(args.d_q.data, args.d_q.dtype, row * args.d_q.seq_stride + d);
        if (row >= 140) {
          others += !std::isnan(found);
          continue;
        }
        const double expected = exact.values[row * args.d_q.dim + d];
        error += (found - expected) * (found - expected), size += expected * expected;
      }
    CHECK(std::sqrt(error / size) < 0.02);
    CHECK(others == 0);
  }
}

TEST_CASE("faults of keeping what is not finite from gradients are noticed") {
  struct CleaningFault {
    const char* what;
    const char* kernel;
    Fault fault;
    void (*planted)(BackwardTensors&) = plant_hidden;
  };
  constexpr const char* cleaner = "backward/operand_cleaner.cuh";
  const CleaningFault faults[] = {
      {"K is not cleaned", kernels[0], {cleaner, "clean(shared.k(), Tiles::K::bytes);", ""}},
      {"V is not cleaned", kernels[0], {cleaner, "clean(shared.v(), Tiles::V::bytes);", ""}},
      {"Q is not cleaned", kernels[1], {cleaner, "clean(shared.q(q_at), Tiles::Q::bytes);", ";"}},
      {"dO is not cleaned",
       kernels[1],
       {cleaner, "clean(shared.d_o(d_o_at), Tiles::DO::bytes);", ";"}},
      {"what is cleaned is announced too early",
       kernels[0],
       {cleaner, "fence_shared_to_async();", ""}},
      {"keys are taken before they are there",
       kernels[0],
       {cleaner, "mbarrier_wait(shared.keys_ring().full + tiling.landed, items.parity());", ""}},
      {"nobody looks at dK",
       kernels[1],
       {"backward/key_gradients.cuh", "watch(params.watch, at, dk);", ";"},
       plant_q},
      {"nobody looks at dQ",
       kernels[0],
       {"backward/query_gradient.cuh", "watch(params.watch, at, dq);", ";"},
       plant_k},
      {"a hidden pair has the weight of its row",
       kernels[5],
       {"backward/changed_weights.cuh", "if (watches<Spec> && is_hidden) power = -infinity;",
        "if (is_hidden) logit = -infinity;"}},
      {"rows that see no key have weights",
       kernels[0],
       {"backward/row_sums.cuh", "if (row.lse == -infinity) minus_lse = -infinity;", ""}},
      {"delta is not finite",
       kernels[0],
       {"backward/row_sums.cuh", "is_finite ? -sum : 0", "-sum"}},
  };
  for (const auto& [what, kernel, fault, planted] : faults) {
    INFO(what);
    const GoldenCase golden = golden_case(kernel);
    const BackwardCase given = hidden_case(golden);
    const auto change = [&](BackwardTensors& tensors) {
      plant_and_compute(given, tensors, planted);
    };
    CHECK(report_of(golden, given, fault, {.multiprocessors = 3}, change) != "nothing");
  }
}
