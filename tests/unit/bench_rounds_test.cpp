// Statistics, and interleaved timing with clocks that are made up.
#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "measure/rounds.h"
#include "measure/statistics.h"
#include "tests/support/catch.h"

namespace streamattn {
namespace {

TEST_CASE("the median is the middle value or the mean of the two in the middle") {
  CHECK(median({3}) == 3);
  CHECK(median({5, 1, 3}) == 3);
  CHECK(median({4, 1, 3, 2}) == 2.5);
}

TEST_CASE("the spread leaves out the extremes where there are enough values") {
  CHECK(spread({2}) == 0);
  CHECK(spread({2, 3}) == 0.5);
  CHECK(spread({4, 2, 3}) == 1);
  CHECK(spread({1, 2, 2.5, 100}) == 0.25);
}

TEST_CASE("the geometric mean of ratios treats twice and half alike") {
  CHECK(std::abs(geometric_mean(std::vector<double>{0.5, 2}) - 1) < 1e-12);
  CHECK(std::abs(geometric_mean(std::vector<double>{1, 10, 100}) - 10) < 1e-12);
}

/// A candidate whose calls take `milliseconds(n)` in its n-th timing, and a diary of who ran.
struct FakeClock {
  std::vector<std::pair<int, int>> diary;  // candidate, runs

  Stopwatch candidate(int id, const std::function<double(int)>& milliseconds) {
    return [this, id, milliseconds, timings = 0](int runs) mutable {
      diary.emplace_back(id, runs);
      return std::vector<double>(runs, milliseconds(timings++));
    };
  }
};

TEST_CASE("every candidate runs once a round, and the orders of rounds differ") {
  FakeClock clock;
  std::vector<Stopwatch> candidates;
  for (int id = 0; id < 4; ++id) {
    candidates.push_back(clock.candidate(id, [](int) { return 1.0; }));
  }
  int advances = 0;
  time_interleaved(candidates, {.rounds = 6}, 0, [&] { ++advances; });
  CHECK(advances == 24);
  REQUIRE(clock.diary.size() == 4 + 24);  // one look at each first
  std::set<std::vector<int>> orders;
  for (int round = 0; round < 6; ++round) {
    std::vector<int> order;
    for (int i = 0; i < 4; ++i) order.push_back(clock.diary[4 + 4 * round + i].first);
    orders.insert(order);
    std::ranges::sort(order);
    CHECK(order == std::vector<int>{0, 1, 2, 3});
  }
  CHECK(orders.size() > 1);
}

TEST_CASE("the figure is the median over rounds without the first") {
  FakeClock clock;
  // Timing 0 is the look that sets the number of runs; timing 1 is the first round.
  const std::vector<double> medians = {9, 50, 4, 2, 3};
  const auto timings = time_interleaved({clock.candidate(0, [&](int n) { return medians[n]; })},
                                        {.rounds = 4}, 0, [] {});
  REQUIRE(timings.size() == 1);
  CHECK(timings[0].milliseconds == 3);
  CHECK(timings[0].spread == 1);
  CHECK(timings[0].rounds == std::vector<double>{50, 4, 2, 3});
}

TEST_CASE("a single round is kept") {
  FakeClock clock;
  const auto timings = time_interleaved({clock.candidate(0, [](int n) { return n + 1.0; })},
                                        {.rounds = 1}, 0, [] {});
  CHECK(timings[0].milliseconds == 2);
}

TEST_CASE("a round is filled with runs, overhead included, within limits") {
  const auto runs_of = [](double milliseconds, double overhead) {
    FakeClock clock;
    time_interleaved({clock.candidate(0, [=](int) { return milliseconds; })},
                     {.rounds = 1, .round_milliseconds = 36}, overhead, [] {});
    return clock.diary.back().second;
  };
  CHECK(runs_of(1, 0) == 36);
  CHECK(runs_of(1, 1) == 18);
  CHECK(runs_of(100, 0) == 5);
  CHECK(runs_of(0.01, 0.08) == 200);
}

}  // namespace
}  // namespace streamattn
