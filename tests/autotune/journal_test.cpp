// Journals of tunings: stopped, torn, damaged, of another job.
#include <algorithm>
#include <fstream>
#include <regex>

#include "autotune/journal_answers.h"
#include "autotune/replay.h"
#include "streamattn/error.h"
#include "tests/autotune/tuner_run.h"

namespace streamattn {
namespace {

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

TEST_CASE("an answer that is none is refused by file and line") {
  const ScratchFolder folder;
  const auto path = folder.path() / "journal";
  const llvm::json::Object head{{"first", true}};
  Journal(path, Journal::Open::new_file, head)
      .append(llvm::json::Object{{"step", "build"}, {"id", "x"}, {"fate", "\x7fodd"}});
  Journal journal(path, Journal::Open::read_only, head);
  CHECK_THAT(error_of([&] { JournalAnswers{journal}; }),
             contains_text(path.native() +
                           ":2: the line has an answer that is none: unknown fate \"\\x7fodd\""));
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

}  // namespace
}  // namespace streamattn
