// `streamattn tune` on the CPU as a process: rows, budgets, Ctrl-C, and kills at any moment.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <random>
#include <thread>

#include "streamattn/compiler.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

namespace streamattn {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int exit_ok = 0, exit_wrong = 1, exit_usage = 2, exit_incomplete = 5;

/// A process of the command.
class Command {
 public:
  Command(const std::filesystem::path& folder, std::vector<std::string> args)
      : out_(folder / "stdout"), err_(folder / "stderr") {
    args.insert(args.begin(), STREAMATTN_TOOL);
    std::vector<char*> arguments;
    for (std::string& arg : args) arguments.push_back(arg.data());
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(::open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), 1);
      ::dup2(::open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), 2);
      ::chdir(folder.c_str());
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
  }

  void signal(int number) const { ::kill(pid_, number); }

  /// Its exit code, or 128 and the signal that ended it.
  int wait() const {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

  std::string out() const { return read_file(out_); }
  std::string err() const { return read_file(err_); }

 private:
  std::filesystem::path out_, err_;
  pid_t pid_;
};

constexpr const char* small_job =
    "target = \"cpu\"\n[[case]]\ndtype = \"f32\"\nhead_dim = 32\nheads = 2\nseq = [48, 96, 160]\n"
    "[space]\ntile_q = [16, 96]\ntile_kv = [64, 256]\n";

class Folder {
 public:
  explicit Folder(const std::string& job = small_job) { write_file(path() / "job.toml", job); }
  const std::filesystem::path& path() const { return scratch_.path(); }
  std::string file(const std::string& name) const { return read_file(path() / name); }
  Command tune(std::vector<std::string> more) const {
    std::vector<std::string> args = {"tune",     "job.toml", "--out",      "rows.toml",
                                     "--rounds", "4",        "--round-ms", "1"};
    args.insert(args.end(), more.begin(), more.end());
    return {path(), args};
  }

 private:
  ScratchFolder scratch_;
};

TEST_CASE("tuning on the CPU writes rows that a run with them uses") {
  const Folder folder;
  const Command tune = folder.tune({"--explain", "--finals", "finals.jsonl"});
  REQUIRE(tune.wait() == exit_ok);
  CHECK_THAT(tune.out(), contains_text("the first guess loses "));
  CHECK_THAT(tune.out(), contains_text("winner: family=cpu_tiled"));
  const ScheduleTable rows = ScheduleTable::parse(folder.file("rows.toml"), "rows.toml");
  CHECK(rows.size() >= 1);
  CHECK(rows.size() <= 3);
  const Command run(folder.path(), {"run", "--target", "cpu", "--dtype", "f32", "--head-dim", "32",
                                    "--heads", "2", "--seq", "96", "--pin", "rows.toml"});
  REQUIRE(run.wait() == exit_ok);
  CHECK_THAT(run.out(), contains_text("row rows.toml:"));
  CHECK_THAT(run.out(), contains_text("tuned on CPU, "));
  // The journal gives the same finals, and they alone the same rows.
  CHECK(folder.tune({"--replay", "rows.toml.journal.jsonl", "--finals", "third.jsonl"}).wait() ==
        exit_ok);
  CHECK(folder.file("third.jsonl") == folder.file("finals.jsonl"));
  const Command replay(folder.path(),
                       {"tune", "job.toml", "--replay", "finals.jsonl", "--out", "again.toml",
                        "--finals", "again.jsonl", "--report", "page.html", "--explain"});
  CHECK(replay.wait() == exit_ok);
  CHECK_THAT(replay.out(), contains_text("winner: family=cpu_tiled"));
  CHECK_THAT(folder.file("page.html"), contains_text("<caption>Finalists</caption>"));
  CHECK_THAT(replay.out(), contains_text("the first guess loses "));
  CHECK(folder.file("again.toml") == folder.file("rows.toml"));
  CHECK(folder.file("again.jsonl") == folder.file("finals.jsonl"));
  // What is there is not measured over.
  const Command again = folder.tune({});
  CHECK(again.wait() == exit_usage);
  CHECK_THAT(again.err(), contains_text("rows.toml.journal.jsonl is there already: --resume"));
}

TEST_CASE("how calls are timed reaches the process that times them") {
  const Folder folder;
  const Command warm = folder.tune({"--l2", "warm", "--launch", "eager"});
  CHECK(warm.wait() == exit_ok);
  CHECK_THAT(folder.file("rows.toml"), contains_text("l2 = \"warm\", launch = \"eager\""));
  const Command cold = folder.tune({"--l2", "cold", "--resume"});
  CHECK(cold.wait() == exit_usage);
  CHECK_THAT(cold.err(), contains_text("a cold L2 is for GPUs: the CPU's caches are warm"));
}

TEST_CASE(
    "killed at any moment and resumed, tuning ends, and its journal alone gives the same file") {
  const Folder folder;
  std::mt19937 random(3);
  const auto lines = [&] {
    const auto journal = folder.path() / "rows.toml.journal.jsonl";
    if (!std::filesystem::exists(journal)) return std::ptrdiff_t{0};
    return std::ranges::count(read_file(journal), '\n');
  };
  for (int kills = 0; kills < 5; kills++) {
    const std::ptrdiff_t before = lines();
    const Command tune = folder.tune({"--resume"});
    // At some moment after something was measured.
    const auto deadline = Clock::now() + std::chrono::seconds(60);
    while (lines() < before + 3 && Clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 5000));
    tune.signal(SIGKILL);
    REQUIRE(tune.wait() == 128 + SIGKILL);
    CHECK(lines() >= before + 3);  // what was measured is kept
  }
  REQUIRE(folder.tune({"--resume"}).wait() == exit_ok);
  const std::string rows = folder.file("rows.toml"),
                    journal = folder.file("rows.toml.journal.jsonl");
  CHECK(folder.tune({"--resume"}).wait() == exit_ok);
  CHECK(folder.file("rows.toml") == rows);
  CHECK(folder.file("rows.toml.journal.jsonl") == journal);
}

TEST_CASE("Ctrl-C writes what is decided, and --resume decides the rest") {
  const Folder folder;
  const Command tune = folder.tune({"--round-ms", "1"});
  CHECK(tune.wait() == exit_usage);  // a flag that is given twice
  const Command stopped = folder.tune({"--journal", "journal"});
  // Once a row is there.
  const auto deadline = Clock::now() + std::chrono::seconds(60);
  while (!std::filesystem::exists(folder.path() / "rows.toml") && Clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  stopped.signal(SIGINT);
  const int code = stopped.wait();
  CHECK((code == exit_incomplete || code == exit_ok));  // it may have been at the last step
  const std::size_t before = ScheduleTable::parse(folder.file("rows.toml"), "rows.toml").size();
  CHECK(before >= 1);
  if (code == exit_incomplete) {
    CHECK_THAT(stopped.out(), contains_text("groups are done; --resume goes on with the rest"));
  }
  CHECK(folder.tune({"--journal", "journal", "--resume"}).wait() == exit_ok);
  CHECK(ScheduleTable::parse(folder.file("rows.toml"), "rows.toml").size() >= before);
}

TEST_CASE("a budget is kept, call by call, until all is decided") {
  const Folder folder;
  int code = exit_incomplete, calls = 0;
  for (; code == exit_incomplete && calls < 400; calls++) {
    const auto begin = Clock::now();
    const Command tune = folder.tune({"--resume", "--budget", "0.3s"});
    code = tune.wait();
    const std::chrono::duration<double> took = Clock::now() - begin;
    CHECK(took.count() < 10);  // a loaded machine, and one step
  }
  CHECK(code == exit_ok);
  CHECK(ScheduleTable::parse(folder.file("rows.toml"), "rows.toml").size() >= 1);
}

TEST_CASE("rows are measured again: what has drifted is named, and is exit code 1") {
  const Folder folder;
  REQUIRE(folder.tune({}).wait() == exit_ok);
  const auto check = [&](const std::string& table, const std::string& tolerance) {
    const Command command(folder.path(), {"tune", "job.toml", "--check", table, "--tolerance",
                                          tolerance, "--rounds", "4", "--round-ms", "1"});
    const int code = command.wait();
    const bool has_drifted = command.out().find("drifted") != std::string::npos;
    CHECK(code == (has_drifted ? exit_wrong : exit_ok));  // whatever this machine does meanwhile
    return code;
  };
  check("rows.toml", "100000");
  // Rows that were far slower, as they say.
  std::string rows = folder.file("rows.toml");
  for (std::size_t at = rows.find("us = ["); at != std::string::npos;
       at = rows.find("us = [", at + 1))
    rows.insert(at + 6, "9000");
  write_file(folder.path() / "slow.toml", rows);
  CHECK(check("slow.toml", "5") == exit_wrong);
  // A table without rows for the job has nothing that could drift.
  write_file(folder.path() / "empty.toml", "");
  CHECK(check("empty.toml", "5") == exit_ok);
}

TEST_CASE("a dry run says what would be tried, without the device") {
  const Folder folder("target = \"sm_90a\"\n[[case]]\nseq = 4096\n");
  const auto listed = [&](const std::vector<std::string>& more) {
    std::vector<std::string> args = {"tune", "job.toml", "--dry-run"};
    args.insert(args.end(), more.begin(), more.end());
    const Command dry(folder.path(), args);
    CHECK(dry.wait() == exit_ok);
    const std::string out = dry.out();
    CHECK_THAT(out, contains_text("family=flash_wgmma"));
    return std::stoi(out.substr(out.find('\n') + 1));
  };
  CHECK(listed({}) > 100);
  CHECK(listed({"--candidates", "12"}) == 12);
  CHECK_FALSE(std::filesystem::exists(folder.path() / "streamattn-tune.journal.jsonl"));
}

TEST_CASE("no flag is ignored, and no file written over another") {
  const Folder folder;
  const auto complaint = [&](const std::vector<std::string>& more) {
    const Command command = folder.tune(more);
    CHECK(command.wait() == exit_usage);
    return command.err();
  };
  CHECK_THAT(complaint({"--seq", "64"}), contains_text("--seq: the job says what to tune"));
  CHECK_THAT(complaint({"--replay", "old.jsonl", "--resume"}),
             contains_text("--replay and --resume exclude each other"));
  CHECK_THAT(complaint({"--report", "rows.toml"}),
             contains_text("--out and --report are one file, rows.toml: what is written needs one "
                           "of its own"));
  CHECK_THAT(complaint({"--finals", "./job.toml"}), contains_text("the job and --finals are one"));
  CHECK_THAT(complaint({"--journal", "rows.toml"}), contains_text("--out and --journal are one"));
  CHECK_THAT(complaint({"--finals", "rows.toml.journal.jsonl"}),
             contains_text("--journal and --finals are one"));
  CHECK(folder.file("job.toml") == small_job);
  std::filesystem::create_symlink("/dev/null", folder.path() / "nowhere");
  CHECK(folder.tune({"--report", "nowhere", "--finals", "nowhere"}).wait() == exit_ok);
  CHECK(std::filesystem::is_character_file(folder.path() / "nowhere"));
  const Command both(folder.path(), {"tune", "job.toml", "--check", "rows.toml", "--explain"});
  CHECK(both.wait() == exit_usage);
  CHECK_THAT(both.err(), contains_text("--check and --explain exclude each other"));
}

TEST_CASE("what cannot be tuned exits as every command does") {
  const Folder folder("[[case]]\nsequ = 1\n");
  const Command wrong = folder.tune({});
  CHECK(wrong.wait() == exit_usage);
  CHECK_THAT(wrong.err(), contains_text("job.toml:2:1: unknown key \"sequ\""));
  const Command missing(folder.path(), {"tune", "nothing.toml"});
  CHECK(missing.wait() == exit_usage);
  const Command budget(folder.path(), {"tune", "--budget", "soon"});
  CHECK(budget.wait() == exit_usage);
  CHECK_THAT(budget.err(), contains_text("needs a time such as 90s, 10m or 1h"));
  const Command unserved(folder.path(), {"tune", "--target", "cpu", "--mask", "k > q - w"});
  CHECK(unserved.wait() == exit_usage);
  CHECK_THAT(unserved.err(), contains_text("--set w=X is missing"));
  const Command backward(folder.path(), {"tune", "--target", "cpu", "--op", "backward"});
  CHECK(backward.wait() == exit_usage);
  CHECK_THAT(backward.err(), contains_text("tune measures the forward pass alone"));
}

}  // namespace
}  // namespace streamattn
