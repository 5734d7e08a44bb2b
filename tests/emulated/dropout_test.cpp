// Dropout on the emulator: which weights kernels keep, whatever their schedule and the call's
// shares, and what they make of it.
#include <algorithm>

#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"
#include "tests/support/forward_case.h"
#include "tests/support/kept_pairs.h"

using namespace streamattn;

namespace {

const Target& hopper() { return find_target("sm_90a"); }

/// A call whose O, or dV, has a column for every key, or query.
ForwardCase telling_case() {
  return {.problem = {.head_dim = 64, .value_head_dim = 128, .group_size = 4, .dropout = true},
          .shape = {.batch = 2, .kv_heads = 1, .q_len = 70, .kv_len = 120},
          .dropout = {.rate = 0.5F, .seed = 0x123456789ABCDEF0, .offset = 0xFEDCBA9876543210}};
}

EmulatedKernel kernel_of(const ForwardCase& given, const char* schedule) {
  Choice choice = choose(Operation::forward, given.problem, given.shape, hopper());
  choice.schedule = parse_schedule(schedule, choice.schedule);
  return {given.problem, choice,
          emit(Operation::forward, given.problem, choice.schedule, hopper())};
}

/// Which weights a kernel keeps of rows and keys, as its O tells.
std::vector<bool> told_by(const EmulatedKernel& kernel, const ForwardCase& given, Rows q, Rows k) {
  ForwardTensors tensors(given);
  tell_kept_pairs(tensors);
  kernel.emulate(tensors.args(), {.multiprocessors = 3});
  return told_pairs(tensors, q, k);
}

constexpr const char* knobs[] = {
    "tile_q=128,tile_kv=64,math_warpgroups=2,packed_heads=1,o_buffer=true,o_passes=2,"
    "split_keys=false,q_in_registers=false",
    "tile_q=128,tile_kv=48,math_warpgroups=2,packed_heads=4,o_buffer=false,o_passes=1,"
    "split_keys=true,splits=3,q_in_registers=true",
    "tile_q=64,tile_kv=80,math_warpgroups=1,ping_pong=false,packed_heads=2,o_buffer=true,"
    "o_passes=2,split_keys=false,q_in_registers=true,softmax=exact"};

/// Positions of the first query and the first key.
struct Offsets {
  std::int64_t q, k;
};
constexpr Offsets places[] = {{0, 0}, {1000, 32}, {-90, -16}, {7, 5}, {-3, -41}};

}  // namespace

TEST_CASE("kernels keep the defined pairs, whatever their tiles, splits, packs and offsets") {
  ForwardCase given = telling_case();
  for (const char* schedule : knobs) {
    const EmulatedKernel kernel = kernel_of(given, schedule);
    for (const Offsets& place : places) {
      given.q_offset = place.q, given.k_offset = place.k;
      INFO(schedule << "; " << given.describe());
      const Rows q{0, given.shape.q_len}, k{0, given.shape.kv_len};
      CHECK(told_by(kernel, given, q, k) == defined_pairs(given, q, k));
    }
  }
}

TEST_CASE("shares of queries and keys keep what the whole call keeps") {
  ForwardCase given = telling_case();
  const EmulatedKernel kernel = kernel_of(given, knobs[0]);
  for (const Rows& q : {Rows{0, 33}, Rows{33, 70}})
    for (const Rows& k : {Rows{0, 48}, Rows{48, 77}, Rows{77, 120}}) {
      given.q_rows = q, given.kv_rows = k;
      INFO(given.describe());
      CHECK(told_by(kernel, given, q, k) == defined_pairs(given, q, k));
    }
}

TEST_CASE("rates of all sizes keep the defined pairs") {
  ForwardCase given = telling_case();
  given.problem.group_size = 1;
  const EmulatedKernel kernel = kernel_of(given, "packed_heads=1");
  for (const float rate : {0.0F, 0.003F, 0.1F, 0.49F, 0.51F, 0.9F, 0.999F}) {
    given.dropout.rate = rate;
    INFO(given.describe());
    const Rows q{0, given.shape.q_len}, k{0, given.shape.kv_len};
    CHECK(told_by(kernel, given, q, k) == defined_pairs(given, q, k));
  }
}

TEST_CASE("a rate of 0 gives O of a kernel without dropout") {
  ForwardCase given{.problem = {.head_dim = 64, .mask = causal(), .dropout = true},
                    .shape = {1, 2, 150, 200}};
  ForwardCase without = given;
  without.problem.dropout = false;
  const char* schedule = "tile_q=128,tile_kv=64,math_warpgroups=2";
  ForwardTensors a(given), b(without);
  kernel_of(given, schedule).launch(a.args());
  kernel_of(without, schedule).launch(b.args());
  CHECK(std::ranges::equal(a.o.bytes(), b.o.bytes()));
  CHECK(std::ranges::equal(a.lse.bytes(), b.lse.bytes()));
}

TEST_CASE("few queries of many keys go to flash_wgmma where weights are dropped") {
  ForwardCase given{.problem = {.head_dim = 128, .group_size = 8, .dropout = true},
                    .shape = {1, 1, 2, 1500},
                    .dropout = {.rate = 0.2F, .seed = 3}};
  const Choice choice = choose(Operation::forward, given.problem, given.shape, hopper());
  CHECK(choice.schedule.family() == "flash_wgmma");
  const ForwardTensors tensors(given);
  kernel_of(given, "").launch(tensors.args());
  check_result(given.problem, tensors.args(), tensors);
}

TEST_CASE("faults in what is dropped are caught") {
  constexpr const char *forward = "flash_wgmma_bf16_d64_dropout", *parts = "parts/dropout.cuh";
  const Shape shape{1, 2, 100, 150};
  check_caught({
      {"a round is missing", forward, {parts, "round < 7", "round < 6"}, "wrong result", shape},
      {"heads drop the same",
       forward,
       {parts, "0xC13FA9A902A6328F * head", "0xC13FA9A902A6328F * 0"},
       "wrong result",
       shape},
      {"a byte too many is kept",
       forward,
       {parts, "(bytes & 0x7F7F7F7F) + params.addend", "(bytes & 0x7F7F7F7F) + params.addend / 2"},
       "wrong result",
       shape},
      {"lanes keep the words that they should hand over",
       forward,
       {parts, "u32 sent = is_upper ? words[i]", "u32 sent = !is_upper ? words[i]"},
       "wrong result",
       shape},
      {"what is kept is not made up for",
       forward,
       {"forward/flash_consumer.cuh", "factor *= params.dropout.of_kept;", "factor *= 1;"},
       "wrong result",
       shape},
      {"the first tile is kept whole",
       forward,
       {"forward/flash_consumer.cuh", "if constexpr (drops<Spec>)\n      FlashDropout",
        "if constexpr (drops<Spec> && !bounded)\n      FlashDropout"},
       "wrong result",
       shape},
  });
}
