// Dropout in the backward pass on the emulator: gradients go through what the forward pass keeps.
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"
#include "tests/support/kept_pairs.h"

using namespace streamattn;

namespace {

constexpr const char *plain = "backward_wgmma_bf16_d64_g2_dropout",
                     *roles = "backward_wgmma_f16_d256_causal_dropout",
                     *biased = "backward_wgmma_bf16_d64_causal_bias_dropout";

/// Positions of the first query and the first key.
struct Offsets {
  std::int64_t q, k;
};
constexpr Offsets places[] = {{0, 0}, {1000, 32}, {-90, -16}, {7, 5}, {-3, -41}};

}  // namespace

TEST_CASE("gradients go through the pairs that the forward pass keeps, at any offset") {
  for (const int value_head_dim : {64, 256}) {  // the two ways of math warpgroups
    ForwardCase forward{
        .problem = {.head_dim = 64, .value_head_dim = value_head_dim, .dropout = true},
        .shape = {.batch = 2, .kv_heads = 2, .q_len = value_head_dim, .kv_len = 150},
        .dropout = {.rate = 0.5F, .seed = 0x123456789ABCDEF0, .offset = 0xFEDCBA9876543210}};
    const Choice choice =
        choose(Operation::backward, forward.problem, forward.shape, find_target("sm_90a"));
    const EmulatedBackward kernel({.name = "",
                                   .problem = forward.problem,
                                   .schedule = choice.schedule,
                                   .operation = Operation::backward});
    for (const Offsets& place : places) {
      forward.q_offset = place.q, forward.k_offset = place.k;
      INFO(forward.describe());
      BackwardTensors tensors = kernel.emulate(
          {.forward = forward}, {},
          [&](BackwardTensors& given) { tell_kept_pairs(given, {.forward = forward}); });
      const Rows q{0, forward.shape.q_len}, k{0, forward.shape.kv_len};
      CHECK(told_pairs(tensors, q, k) == defined_pairs(forward, q, k));
    }
  }
}

TEST_CASE("gradients of shares and at offsets agree with float64 where weights are dropped") {
  for (const char* name : {plain, roles, biased}) {
    const EmulatedBackward kernel(golden_case(name));
    BackwardCase given = backward_call_of(golden_case(name), {1, 2, 150, 200});
    given.forward.q_offset = 60, given.forward.k_offset = 21;
    INFO(name << ": " << given.forward.describe());
    check_gradients(given, kernel.emulate(given));
    given.forward.q_rows = Rows{11, 140}, given.forward.kv_rows = Rows{33, 190};
    check_gradients(given, kernel.emulate(given));
  }
}

TEST_CASE("faults in gradients of what is dropped are caught") {
  constexpr const char *parts = "parts/dropout.cuh", *math = "backward/key_gradients.cuh",
                       *dropped = "backward/dropped_weights.cuh";
  const Shape shape{1, 2, 100, 150};
  check_caught({
      {"dV takes all weights", plain, {math, "drop_weights(p, drop);", ""}, "wrong result", shape},
      {"dP of what is dropped counts",
       plain,
       {dropped, "is_dropped ? 0 : dp", "dp"},
       "wrong result",
       shape},
      {"what is dropped loses its delta",
       plain,
       {dropped, "+ minus_delta", "+ (is_dropped ? 0 : minus_delta)"},
       "wrong result",
       shape},
      {"the other role drops nothing",
       roles,
       {"backward/key_roles.cuh", "this->find_dropped();", "this->drop.bits = 0;"},
       "wrong result",
       shape},
      {"dV is not made up for",
       roles,
       {math, "return params.dropout.of_kept;", "return 1;"},
       "wrong result",
       shape},
      {"warps take each other's keys",
       roles,
       {math, "at.first_row() + at.warp * 16;", "at.first_row();"},
       "wrong result",
       shape},
      {"odd and even rows are exchanged",
       plain,
       {parts, "row & 1 ? other : mine", "row & 1 ? mine : other"},
       "wrong result",
       shape},
      {"a tensor's gradient takes all weights",
       biased,
       {"backward/element_gradients.cuh", "drop.of(element)", "false"},
       "wrong result",
       shape},
  });
}
