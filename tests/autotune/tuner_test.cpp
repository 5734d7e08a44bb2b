// The tuner on a made-up device: it finds the best schedule through noise, drift and faults.
#include <algorithm>
#include <map>
#include <set>

#include "compiler/knobs.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"
#include "tests/autotune/tuner_run.h"

namespace streamattn {
namespace {

/// The least time of all candidates that were listed.
double best_time(const Tuned& tuned) {
  double best = 1e9;
  for (const CandidateRecord& candidate : tuned.report.results.front().candidates)
    best = std::min(best, arbitrary_time({}, candidate.schedule));
  return best;
}

TEST_CASE("the winner is within 1 % of the best through noise, drift and a model that lies") {
  int runs = 0, good = 0;
  for (std::uint64_t seed = 1; seed <= 100; seed++) {
    const Tuned tuned = tune_simulated({.seed = seed, .truth = arbitrary_time});
    const double lost = arbitrary_time({}, only_decision(tuned).winner) / best_time(tuned);
    runs++, good += lost <= 1.01;
    CHECK(lost < 1.03);
  }
  CHECK(good >= runs - 1);
}

TEST_CASE("tuning again gives the same schedule, also where others are as fast") {
  // Those of one key tile differ by less than anybody can measure.
  const auto truth = [](const ForwardCase&, const Schedule& schedule) {
    const auto tile_kv = std::get<std::int64_t>(schedule.get("tile_kv"));
    return 100 + static_cast<double>(tile_kv == 96 ? 0 : tile_kv) / 8 +
           arbitrary_time({}, schedule) / 1000;
  };
  std::map<std::string, int> winners;
  for (std::uint64_t seed = 1; seed <= 60; seed++)
    winners[only_decision(tune_simulated({.seed = seed, .truth = truth})).winner.describe()]++;
  int most = 0;
  for (const auto& [winner, count] : winners) most = std::max(most, count);
  CHECK(most >= 57);
}

TEST_CASE("a schedule in use stays where nothing is faster") {
  SimulatedDevice device({.truth = [](const ForwardCase&, const Schedule&) { return 100.0; }});
  const TunerRun one;
  TuneSettings settings = one.settings();
  settings.start = ScheduleTable::parse(
      "[[schedule]]\ntarget = \"sm_90a\"\nuse = { family = \"flash_wgmma\", tile_q = 128, tile_kv "
      "= 128, math_warpgroups = 2 }\n",
      "start.toml");
  const Tuned tuned = one.run(device, small_job(), settings);
  CHECK(std::get<std::int64_t>(only_decision(tuned).winner.get("tile_q")) == 128);
  CHECK(std::get<std::int64_t>(only_decision(tuned).winner.get("tile_kv")) == 128);
}

TEST_CASE("a job starts from the rows that are nearest to it, whatever its space allows") {
  const Schedule tuned =
      parse_schedule("family=flash_wgmma,tile_q=128,tile_kv=64,math_warpgroups=2");
  SimulatedWorld world{.truth = [&](const ForwardCase& call, const Schedule& schedule) {
    return schedule == tuned ? 50 : arbitrary_time(call, schedule);
  }};
  const auto table = [](const std::string& length, const std::string& head_dim) {
    return ScheduleTable::parse("[[schedule]]\ntarget = \"sm_90a\"\nwhen = { q_len = " + length +
                                    ", head_dim = " + head_dim +
                                    " }\nuse = { family = \"flash_wgmma\", tile_q = 128, tile_kv = "
                                    "64, math_warpgroups = 2 }\n",
                                "start.toml");
  };
  SimulatedDevice device(world);
  const TunerRun one;
  TuneSettings settings = one.settings();
  settings.start = table("2048", "128");
  const Tuned found = one.run(device, small_job(), settings);
  CHECK(only_decision(found).winner == tuned);
  // The journal remembers it: tables may change.
  settings = one.settings(Journal::Open::resume);
  CHECK(one.run(device, small_job(), settings).rows == found.rows);
  SimulatedDevice other_dims(world);
  const TunerRun another;
  settings = another.settings();
  settings.start = table("4096", "64");
  CHECK(only_decision(another.run(other_dims, small_job(), settings)).winner != tuned);
}

TEST_CASE("whatever fails in any step never wins, and is kept with its reason") {
  for (const std::string step : {"build", "check", "time"}) {
    for (const Fate fate : {Fate::refused, Fate::wrong, Fate::crashed, Fate::timed_out}) {
      INFO(step << " " << name(fate));
      const auto fails = [&](const Schedule& schedule) {
        return digest(compiled_part(schedule).describe())[5] % 2 == 0;
      };
      // Failing ones would be the fastest by far.
      const Tuned tuned =
          tune_simulated({.truth =
                              [&](const ForwardCase& call, const Schedule& schedule) {
                                return arbitrary_time(call, schedule) / (fails(schedule) ? 10 : 1);
                              },
                          .fate =
                              [&](const std::string& now, const Schedule& schedule) {
                                return now == step && fails(schedule) ? fate : Fate::ok;
                              }});
      CHECK_FALSE(fails(only_decision(tuned).winner));
      int failed = 0;
      for (const CandidateRecord& candidate : tuned.report.results.front().candidates) {
        if (candidate.outcome.ok()) continue;
        failed++;
        CHECK(candidate.outcome.fate == fate);
        CHECK_THAT(candidate.outcome.reason, contains_text("the test says so"));
      }
      CHECK(failed > 0);
    }
  }
}

TEST_CASE("a group in which everything fails stays undecided and says so") {
  const Tuned tuned = tune_simulated(
      {.truth = arbitrary_time, .fate = [](const std::string& step, const Schedule&) {
         return step == "check" ? Fate::wrong : Fate::ok;
       }});
  CHECK_FALSE(tuned.report.results.front().decision);
  CHECK_THAT(
      tuned.report.results.front().why_undecided,
      contains_text("no candidate is right and can be timed; the first that failed is wrong: "
                    "the test says so (bf16"));
  CHECK(tuned.rows.find("[[schedule]]") == std::string::npos);
}

TEST_CASE("a problem that nobody serves is said to be one, and the others are tuned") {
  TuneJob job = small_job();
  ForwardCase unserved = call_of(1024);
  unserved.problem.head_dim = 129;
  job.groups.insert(job.groups.begin(), job_of({unserved}).groups.front());
  const Tuned tuned = tune_simulated({.truth = arbitrary_time}, job);
  REQUIRE(tuned.report.results.size() == 2);
  CHECK_THAT(tuned.report.results[0].why_undecided, contains_text("not a multiple of 8"));
  CHECK(tuned.report.results[1].decision);
}

TEST_CASE("launch knobs are swept without building anything") {
  SimulatedDevice device({.truth = [](const ForwardCase& call, const Schedule& schedule) {
    const auto section = std::get<std::int64_t>(schedule.get("section_heads"));
    return arbitrary_time(call, compiled_part(schedule)) * (section == 4 ? 0.9 : 1);
  }});
  const TunerRun one;
  const Tuned tuned = one.run(device, small_job(), one.settings());
  CHECK(std::get<std::int64_t>(only_decision(tuned).winner.get("section_heads")) == 4);
  std::set<std::string> compiled;
  for (const CandidateRecord& candidate : tuned.report.results.front().candidates)
    compiled.insert(compiled_part(candidate.schedule).describe());
  CHECK(device.builds == compiled.size());
}

TEST_CASE("slow candidates are timed once, good ones often") {
  SimulatedDevice device({.truth = arbitrary_time});
  const TunerRun one;
  const Tuned tuned = one.run(device, small_job(), one.settings());
  const auto of = [&](const Schedule& schedule) { return device.timings_of[schedule.describe()]; };
  std::size_t once = 0;
  for (const auto& candidate : tuned.report.results.front().candidates)
    once += of(candidate.schedule) == 1;
  CHECK(3 * once > tuned.report.results.front().candidates.size());
  constexpr int finals = 9, rounds_before = 3;
  CHECK(of(only_decision(tuned).winner) > finals + rounds_before);
}

TEST_CASE("the regret of the first guess is its loss over the groups") {
  const Tuned tuned = tune_simulated(
      {.noise = 0, .stragglers = 0, .drift = 0, .truth = arbitrary_time}, small_job({8192, 16384}));
  const auto regret = regret_of_first_guess(tuned.report.results);
  REQUIRE(regret);
  const auto guess = tuned.report.results[0].decision->first_guess;
  const double gain =
      arbitrary_time({}, guess) / arbitrary_time({}, tuned.report.results[0].decision->winner);
  CHECK(regret->mean == Approx(gain - 1).epsilon(1e-3));
  CHECK(regret->worst == Approx(gain - 1).epsilon(1e-3));
  CHECK_FALSE(regret_of_first_guess({}));
}

TEST_CASE("what a check found wrong is blocked with the call of that check, and not tried again") {
  SimulatedWorld world{.truth = arbitrary_time};
  world.fate = [](const std::string& step, const Schedule& schedule) {
    const bool fails = step == "check" && std::get<std::int64_t>(schedule.get("tile_kv")) == 96;
    return fails ? Fate::wrong : Fate::ok;
  };
  const Tuned first = tune_simulated(world);
  const auto list = blocked_by(first.report.results, first.report.site);
  REQUIRE_FALSE(list.empty());
  for (const BlockedSchedule& entry : list)
    CHECK_THAT(entry.reproduce, contains_text("--batch 2 --q-len 1 --kv-len 77 "));
  SimulatedDevice device(world);
  const TunerRun one;
  TuneSettings settings = one.settings();
  settings.blocked = list;
  const Tuned second = one.run(device, small_job(), settings);
  CHECK(only_decision(second).winner == only_decision(first).winner);
  CHECK(blocked_by(second.report.results, second.report.site).empty());
}

TEST_CASE("blocked schedules are not tried") {
  const Tuned before = tune_simulated({.truth = arbitrary_time});
  const Schedule winner = only_decision(before).winner;
  SimulatedDevice device({.truth = arbitrary_time});
  const TunerRun one;
  TuneSettings settings = one.settings();
  settings.blocked = {{.device = "Simulated H200",
                       .problem = call_of(4096).problem.describe(),
                       .schedule = compiled_part(winner).describe(),
                       .reason = "wrong: seen before"}};
  const Tuned tuned = one.run(device, small_job(), settings);
  CHECK(compiled_part(only_decision(tuned).winner) != compiled_part(winner));
  CHECK(device.timings_of[winner.describe()] == 0);
}

}  // namespace
}  // namespace streamattn
