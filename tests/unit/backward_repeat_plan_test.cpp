// When the main backward kernel is launched once more.
#include "tests/support/catch.h"
#include "tests/unit/backward_plan_fixture.h"

namespace streamattn {

TEST_CASE_METHOD(BackwardPlanFixture,
                 "where a mask hides pairs the main kernel may have to run once more") {
  const auto of = [&](const KernelLaunch& launch) {
    BackwardParams p;
    std::memcpy(&p, launch.parameters(), sizeof(p));
    return p;
  };
  for (Tensor* tensor : {&call.forward.q, &call.forward.o, &call.forward.lse, &call.d_o, &call.d_q})
    tensor->seq = 16384;
  call.d_v = call.d_k;  // so that key tiles are cut
  const Plan steps = planned();
  REQUIRE(steps.size() == 5);
  const BackwardParams first = of(launch(steps, 1)), second = of(launch(steps, 4));
  CHECK(launch(steps, 4).kernel == 1);
  CHECK(launch(steps, 4).overlaps_previous);
  CHECK(first.watch.landed == 0);
  CHECK(first.watch.unless == nullptr);
  CHECK(second.watch.landed == BackwardTiling::landed);
  CHECK(second.watch.unless == first.watch.found);
  CHECK(second.watch.found == nullptr);
  CHECK(first.order.cut > 0);
  CHECK(second.order.cut == 0);
  CHECK(second.order.items == second.order.whole);
  CHECK(second.order.whole == first.order.whole + first.order.cut);
  CHECK(second.order.last_draw == unsigned(second.order.items) + launch(steps, 4).blocks - 1);
  // row_sums makes zeros of all counters, and of the word.
  RowSumParams sums;
  std::memcpy(&sums, launch(steps, 0).parameters(), sizeof(sums));
  const int counters = 2 * 4 * (16384 / 64);
  CHECK(sums.counter_count == 2 * counters + 1);
  CHECK(second.d_q_sums.counters == first.d_q_sums.counters + counters);
  CHECK(first.watch.found == first.d_q_sums.counters + 2 * counters);
  // What is added to can be computed once.
  call.d_q.dtype = call.d_k.dtype = call.d_v.dtype = DType::f32;
  call.accumulate = true;
  const Plan once = planned();
  REQUIRE(once.size() == 2);
  CHECK(of(launch(once, 1)).watch.landed > 0);
  CHECK(of(launch(once, 1)).watch.unless == nullptr);
  call.accumulate = false;
  problem.mask = Problem().mask;
  CHECK(of(launch(planned(), 1)).watch.landed == 0);
}

}  // namespace streamattn
