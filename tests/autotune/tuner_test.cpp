// The tuner on a made-up device: it finds the best schedule through noise, drift and faults.
#include <algorithm>
#include <fstream>
#include <map>
#include <regex>
#include <set>

#include "autotune/replay.h"
#include "autotune/tune_session.h"
#include "autotune/tuned_rows.h"
#include "compiler/knobs.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"
#include "support/hash.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"
#include "tests/support/simulated_device.h"

namespace streamattn {
namespace {

/// Times that have nothing to do with the model: each schedule's own, between 100 and 200.
double arbitrary_time(const ForwardCase&, const Schedule& schedule) {
  const Digest bytes = digest(schedule.describe());
  return 100 + 100.0 * (bytes[0] * 256 + bytes[1]) / 65536;
}

ForwardCase call_of(std::int64_t length) {
  ForwardCase call;
  call.problem.mask = causal();
  call.shape = {.batch = 4, .kv_heads = 16, .q_len = length, .kv_len = length};
  return call;
}

/// A job with a space that is small enough for hundreds of runs.
TuneJob small_job(const std::vector<std::int64_t>& lengths = {4096}) {
  std::vector<ForwardCase> calls;
  for (const std::int64_t length : lengths) calls.push_back(call_of(length));
  TuneJob job = job_of(calls);
  job.space = {{"tile_kv", {std::int64_t{80}, std::int64_t{96}, std::int64_t{128}}},
               {"stages", {std::int64_t{2}}},
               {"o_passes", {std::int64_t{1}}},
               {"section_heads", {std::int64_t{0}, std::int64_t{4}}},
               {"tile_order", {std::string("dynamic")}}};
  return job;
}

struct Tuned {
  TuneReport report;
  std::string rows;
};

class TunerRun {
 public:
  TuneSettings settings(Journal::Open how = Journal::Open::new_file) const {
    return {.journal = folder.path() / "journal.jsonl",
            .open = how,
            .should_stop = [] { return false; },
            .progress = [](const TuneProgress&) {}};
  }

  Tuned run(TuneDevice& device, const TuneJob& job, const TuneSettings& how) const {
    Tuned tuned{.report = run_tune_job(device, job, how, [](const TuneReport&) {})};
    tuned.rows = rows_toml(tuned_rows(tuned.report.results, device.target()), tuned.report.site,
                           device.target());
    return tuned;
  }

  ScratchFolder folder;
};

Tuned tune_simulated(const SimulatedWorld& world, const TuneJob& job = small_job()) {
  SimulatedDevice device(world);
  const TunerRun one;
  return one.run(device, job, one.settings());
}

const Decision& only_decision(const Tuned& tuned) {
  REQUIRE(tuned.report.results.size() == 1);
  REQUIRE(tuned.report.results.front().decision);
  return *tuned.report.results.front().decision;
}

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

TEST_CASE(
    "stopped before any step and resumed, tuning gives the same file and asks nothing twice") {
  const SimulatedWorld world{.noise = 0, .stragglers = 0, .drift = 0, .truth = arbitrary_time};
  const TuneJob job = small_job({2048, 4096});
  const Tuned whole = tune_simulated(world, job);
  SimulatedDevice counting(world);
  const TunerRun uninterrupted;
  uninterrupted.run(counting, job, uninterrupted.settings());
  const std::size_t steps = counting.checks + counting.timings;
  for (const std::size_t stride : {std::size_t{7}, std::size_t{41}, steps / 2}) {
    SimulatedDevice device(world);
    const TunerRun one;
    Tuned tuned;
    for (int starts = 0; !tuned.report.is_complete; starts++) {
      std::size_t left = stride;
      TuneSettings settings = one.settings(Journal::Open::resume);
      settings.should_stop = [&] { return left-- == 0; };
      tuned = one.run(device, job, settings);
      REQUIRE(starts < 1000);
    }
    CHECK(tuned.rows == whole.rows);
    CHECK(device.checks == counting.checks);
    CHECK(device.timings == counting.timings);
  }
}

TEST_CASE("a journal whose last line is torn goes on, and loses that line alone") {
  const SimulatedWorld world{.noise = 0, .stragglers = 0, .drift = 0, .truth = arbitrary_time};
  SimulatedDevice device(world);
  const TunerRun one;
  const Tuned first = one.run(device, small_job(), one.settings());
  const std::string text = read_file(one.settings().journal);
  for (const std::size_t cut : {std::size_t{1}, std::size_t{20}, text.size() / 2}) {
    write_file(one.settings().journal, text.substr(0, text.size() - cut));
    SimulatedDevice again(world);
    const Tuned second = one.run(again, small_job(), one.settings(Journal::Open::resume));
    CHECK(second.rows == first.rows);
    CHECK(read_file(one.settings().journal) == text);
  }
}

TEST_CASE("a journal that another tuning writes is left alone") {
  SimulatedDevice device({.truth = arbitrary_time});
  const TunerRun one;
  const auto resume = one.settings(Journal::Open::resume);
  {
    const Journal other(resume.journal, Journal::Open::new_file,
                        llvm::json::Object{{"first", true}});
    const std::string first = read_file(resume.journal);
    std::ofstream(resume.journal, std::ios::app) << "{\"half\":";
    CHECK_THAT(error_of([&] { one.run(device, small_job(), resume); }),
               contains_text("is written by another tuning at this moment"));
    CHECK(read_file(resume.journal) == first + "{\"half\":");
  }
  std::filesystem::remove(resume.journal);
  CHECK(one.run(device, small_job(), resume).rows != "");
}

TEST_CASE("a journal alone gives the rows again, whatever the kernels are by now") {
  SimulatedDevice device({.truth = arbitrary_time});
  const TunerRun one;
  const TuneJob job = small_job({2048, 4096});
  const Tuned tuned = one.run(device, job, one.settings());
  const TuneReport again = replay_tune_job(one.settings().journal, job);
  CHECK(again.is_complete);
  CHECK(rows_toml(tuned_rows(again.results, *again.target), again.site, *again.target) ==
        tuned.rows);
  // Of half a journal, the groups that it has.
  const std::string text = read_file(one.settings().journal);
  write_file(one.settings().journal, text.substr(0, 95 * text.size() / 100));
  const TuneReport part = replay_tune_job(one.settings().journal, job);
  CHECK_FALSE(part.is_complete);
  CHECK(part.results.size() == 1);
  CHECK_THAT(error_of([&] { replay_tune_job(one.settings().journal, small_job({512})); }),
             contains_text("belongs to another tuning: job was"));
  CHECK_THAT(error_of([&] { replay_tune_job(one.folder.path() / "none", job); }),
             contains_text("cannot be read"));
}

TEST_CASE("a journal is not overwritten, and not another job's") {
  SimulatedDevice device({.truth = arbitrary_time});
  const TunerRun one;
  one.run(device, small_job(), one.settings());
  CHECK_THAT(error_of([&] { one.run(device, small_job(), one.settings()); }),
             contains_text("is there already: --resume goes on with it"));
  const auto resume = one.settings(Journal::Open::resume);
  CHECK_THAT(error_of([&] { one.run(device, small_job({512}), resume); }),
             contains_text("belongs to another tuning: job was"));
  write_file(resume.journal, read_file(resume.journal).insert(0, "nonsense\n"));
  CHECK_THAT(error_of([&] { one.run(device, small_job(), resume); }),
             contains_text(resume.journal.native() + ":1: the line is no JSON object"));
}

TEST_CASE("a journal with a changed digit, or without sums, is refused by file and line") {
  SimulatedDevice device({.truth = arbitrary_time});
  const TunerRun one;
  one.run(device, small_job(), one.settings());
  const auto resume = one.settings(Journal::Open::resume);
  const std::string text = read_file(resume.journal);
  const auto complaint = [&](const std::string& changed) {
    write_file(resume.journal, changed);
    const std::string resumed = error_of([&] { one.run(device, small_job(), resume); });
    CHECK(error_of([&] { replay_tune_job(resume.journal, small_job()); }) == resumed);
    return resumed;
  };
  const std::string place = "invalid_config: " + resume.journal.native();
  const std::size_t last = text.rfind('\n', text.size() - 2) + 1;
  const auto lines = std::ranges::count(text, '\n');
  for (const std::size_t line : {std::size_t{0}, last}) {
    std::string changed = text;
    char& digit = changed[changed.find_first_of("0123456789", line)];
    digit = digit == '9' ? '1' : static_cast<char>(digit + 1);
    CHECK(complaint(changed) == place + ":" + std::to_string(line == 0 ? 1 : lines) +
                                    ": the line is damaged: its \"sum\" is that of another");
  }
  CHECK(complaint(std::regex_replace(text, std::regex(",\"sum\":\"[a-z2-7]*\""), "")) ==
        place + ":1: the line has no \"sum\": it is damaged, or of an earlier version");
}

TEST_CASE("rows say how their times were taken, and a journal of another way is not gone on with") {
  const TunerRun one;
  SimulatedDevice warm({.l2 = "warm", .launch = "graph", .truth = arbitrary_time});
  const Tuned tuned = one.run(warm, small_job(), one.settings());
  CHECK_THAT(tuned.rows, contains_text("l2 = \"warm\", launch = \"graph\""));
  SimulatedDevice cold({.truth = arbitrary_time});
  CHECK_THAT(error_of([&] { one.run(cold, small_job(), one.settings(Journal::Open::resume)); }),
             contains_text("belongs to another tuning: l2 was \"warm\" and is \"cold\", launch was "
                           "\"graph\" and is \"eager\""));
  CHECK(cold.timings == 0);
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
