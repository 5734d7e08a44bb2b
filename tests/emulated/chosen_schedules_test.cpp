// What a user gets for problems that no golden covers.
#include "streamattn/schedule_table.h"
#include "tests/emulated/emulated_case.h"
#include "tests/support/catch.h"
#include "tests/support/forward_case.h"

using namespace streamattn;

TEST_CASE("a value head dim of other chunks than the head dim gets a schedule without conflicts") {
  const Target& target = find_target("sm_90a");
  const int head_dims[][2] = {{256, 72}, {256, 240}, {240, 256}, {128, 96}, {72, 256}, {40, 72}};
  for (const auto& [head_dim, value_head_dim] : head_dims) {
    const ForwardCase given{
        .problem = {.head_dim = head_dim, .value_head_dim = value_head_dim, .mask = causal()},
        .shape = {1, 2, 300, 300}};
    INFO(given.describe());
    const Choice choice =
        choose(Operation::forward, given.problem, given.shape, target, ScheduleTable::shipped());
    const EmulatedKernel kernel(given.problem, choice,
                                emit(Operation::forward, given.problem, choice.schedule, target));
    const ForwardTensors tensors(given);
    kernel.launch(tensors.args());
    check_result(given.problem, tensors.args(), tensors);
  }
}

TEST_CASE("O is not stored over Q where their chunks differ") {
  const Target& target = find_target("sm_90a");
  const Problem problem{.head_dim = 256, .value_head_dim = 72};
  const Schedule buffered =
      choose(Operation::forward, problem, {}, target, ScheduleTable::shipped()).schedule;
  CHECK_THROWS_WITH(
      check(Operation::forward, problem, parse_schedule("o_buffer=false", buffered), target),
      contains_text("chunks of 16 columns of O over chunks of 64 of Q need o_buffer"));
}
