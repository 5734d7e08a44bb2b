// `streamattn tune`: finds schedules and writes them as rows.
#include "tools/tune_command.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Support/FormatVariadic.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "autotune/candidates.h"
#include "autotune/device_class.h"
#include "autotune/drift.h"
#include "autotune/finals_file.h"
#include "autotune/replay.h"
#include "autotune/tune_session.h"
#include "autotune/tuned_rows.h"
#include "autotune/worker_device.h"
#include "compiler/knobs.h"
#include "runtime/gpu/driver.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"
#include "support/files.h"
#include "support/log.h"
#include "support/progress.h"
#include "tools/gpu_list.h"
#include "tools/interrupt.h"
#include "tools/output_file.h"
#include "tools/problem_flags.h"
#include "tools/table.h"
#include "tools/timing_flags.h"
#include "tools/tune_page.h"
#include "tools/tune_summary.h"

namespace streamattn {
namespace {

/// A length of time on the command line: "90s", "10m", "1h"; a number alone is seconds.
struct Duration {
  double seconds = 0;
};

void read_value(llvm::StringRef flag, llvm::StringRef text, Duration& value) {
  double number = 0, unit = 1;
  llvm::StringRef digits = text;
  if (digits.consume_back("h")) {
    unit = 3600;
  } else if (digits.consume_back("m")) {
    unit = 60;
  } else {
    digits.consume_back("s");
  }
  if (digits.getAsDouble(number) || !(number > 0))
    reject_value(flag, text, "a time such as 90s, 10m or 1h");
  value.seconds = unit * number;
}

struct Options {
  std::optional<std::string> job_file;
  ProblemFlags problem;
  std::optional<std::string> target;
  std::optional<int> device;
  GpuList gpus;
  std::vector<std::string> pins;
  std::optional<std::string> out, journal, finals, block_list, check, report, replay;
  double tolerance = 5;  // percent
  std::optional<Duration> budget;
  int jobs = 0;
  bool resume = false, explain = false, dry_run = false;
  TuneMethod method;
  TimingWish timing;
};

/// Where a worker runs: the target that was asked for, else that of the device.
std::string target_name(const Options& options, const TuneJob& job) {
  if (options.target) return *options.target;
  if (!job.target.empty()) return job.target;
  return try_driver() ? "sm_90a" : "cpu";
}

/// This program as a worker for a device.
std::vector<std::string> worker_command(const Options& options, const std::string& target,
                                        const std::optional<int>& device) {
  std::vector<std::string> command = {"/proc/self/exe", "tune", "worker", "--target", target};
  if (device) command.insert(command.end(), {"--device", std::to_string(*device)});
  llvm::append_range(command, timing_flags(options.timing));
  return command;
}

int build_processes(int wanted) {
  if (wanted > 0) return wanted;
  return std::max(static_cast<int>(std::thread::hardware_concurrency()) - 1, 1);
}

std::vector<BlockedSchedule> load_block_list(const std::optional<std::string>& path) {
  if (!path || !std::filesystem::exists(*path)) return {};
  const FileContent file = read_regular_file(*path, std::size_t{16} << 20);
  if (file.status != FileContent::Status::ok)
    throw Error(ErrorCode::invalid_config, *path + " cannot be read: " + file.problem);
  return parse_block_list(file.bytes, *path);
}

std::string journal_path(const Options& options) {
  if (options.journal) return *options.journal;
  return options.out.value_or("streamattn-tune") + ".journal.jsonl";
}

/// Every file that is read or written.
std::vector<NamedFile> files_of(const Options& options) {
  std::vector<NamedFile> files;
  const auto add = [&](const char* name, const std::optional<std::string>& path, bool is_written) {
    if (path) files.push_back({name, *path, is_written});
  };
  add("the job", options.job_file, false);
  for (const std::string& file : options.pins) add("--start", file, false);
  add("--check", options.check, false);
  add("--replay", options.replay, false);
  add("--out", options.out, true);
  if (!options.check && !options.replay) add("--journal", journal_path(options), true);
  add("--report", options.report, true);
  add("--finals", options.finals, true);
  add("--block-list", options.block_list, true);
  return files;
}

void save_file(const std::string& path, const std::string& content) {
  if (const int error = replace_file(path, content); error != 0)
    throw Error(ErrorCode::invalid_config, "cannot write " + path + ": " + std::strerror(error));
}

class Tuning {
 public:
  explicit Tuning(Options options) : options_(std::move(options)) {
    job_ = options_.job_file ? load_tune_job(*options_.job_file) : job_of({call_of_flags()});
    for (const std::string& file : options_.pins) start_.append(ScheduleTable::load(file));
    start_.append(ScheduleTable::shipped());
    blocked_ = load_block_list(options_.block_list);
  }

  TuneReport run() {
    if (options_.replay) return replay_tune_job(*options_.replay, job_, options_.method);
    const WorkerDevices devices = make_devices();
    const std::vector<TuneDevice*> alike = devices_alike(devices);
    const InterruptScope interrupts;
    const auto begin = std::chrono::steady_clock::now();
    Progress progress("tune", static_cast<std::int64_t>(job_.groups.size()));
    const TuneSettings settings{
        .method = options_.method,
        .journal = journal_path(options_),
        .open = options_.resume ? Journal::Open::resume : Journal::Open::new_file,
        .start = start_,
        .blocked = blocked_,
        .should_stop =
            [&] {
              const std::chrono::duration<double> elapsed =
                  std::chrono::steady_clock::now() - begin;
              return InterruptScope::is_interrupted() ||
                     (options_.budget && elapsed.count() >= options_.budget->seconds);
            },
        .progress = [&](const TuneProgress& step) { show(step, progress); }};
    return run_tune_job(alike, job_, settings, [this](const TuneReport& report) { save(report); });
  }

  /// What would be tried, and the best of it by the model.
  void print_candidates(llvm::raw_ostream& out) const {
    const Target& target = find_target(target_name(options_, job_));
    Table table(
        {"candidates", "us by the model", "us of the first guess", "best by the model", "calls"});
    for (const TuneGroup& group : job_.groups) {
      const ForwardCase& call = group.call;
      const Schedule guess =
          choose(call.operation, call.problem, call.shape, target, ScheduleTable()).schedule;
      auto all = list_candidates(group, {guess}, job_.space, options_.method, target,
                                 [](const Problem&, const Schedule&) { return std::string(); });
      const double of_guess = all.front().estimate.microseconds;
      const auto best = std::ranges::min_element(
          all, {}, [](const CandidateRecord& c) { return c.estimate.microseconds; });
      table.add({std::to_string(all.size()), fixed(best->estimate.microseconds, 1),
                 fixed(of_guess, 1), schedule_fields(best->schedule), group.describe()});
    }
    table.print(out);
  }

  /// Measures the rows of the table that --check names.
  std::vector<Drift> check_rows() {
    const WorkerDevices devices = make_devices();
    Progress progress("check", static_cast<std::int64_t>(job_.groups.size()));
    return measure_drift(
        *devices.front(), job_, ScheduleTable::load(*options_.check), options_.method,
        [&](std::size_t done) { progress.update(static_cast<std::int64_t>(done)); });
  }

  /// Writes what was decided so far.
  void save(const TuneReport& report) const {
    if (options_.out)
      save_file(*options_.out,
                rows_toml(tuned_rows(report.results, *report.target), report.site, *report.target));
    if (options_.finals) save_file(*options_.finals, finals_text(report));
    if (options_.report) save_file(*options_.report, tune_page(report));
    if (!options_.block_list) return;
    std::vector<BlockedSchedule> all = blocked_;
    for (BlockedSchedule& entry : blocked_by(report.results, report.site))
      all.push_back(std::move(entry));
    if (!all.empty()) save_file(*options_.block_list, block_list_toml(all));
  }

 private:
  using WorkerDevices = std::vector<std::unique_ptr<WorkerDevice>>;

  /// The device, or those of --gpus.
  WorkerDevices make_devices() const {
    const Target& target = find_target(target_name(options_, job_));
    std::vector<std::optional<int>> ordinals = {options_.device};
    if (options_.gpus.is_given()) {
      if (target.is_cpu())
        throw Error(ErrorCode::invalid_config, "--gpus is for GPUs, the target is cpu");
      const std::vector<int> given = options_.gpus.resolved();
      ordinals.assign(given.begin(), given.end());
    }
    const auto turn = std::make_shared<std::mutex>();
    WorkerDevices devices;
    for (const std::optional<int>& ordinal : ordinals)
      devices.push_back(std::make_unique<WorkerDevice>(
          worker_command(options_, std::string(target.name), ordinal), target,
          build_processes(options_.jobs), WorkerLimits{}, turn));
    return devices;
  }

  std::vector<TuneDevice*> devices_alike(const WorkerDevices& devices) const {
    std::vector<TuneDevice*> all;
    for (const auto& device : devices) all.push_back(device.get());
    if (all.size() == 1) return all;
    return of_one_class(all, options_.gpus.resolved(), [](const std::string& sentence) {
      log(LogLevel::warning, LogTopic::tune, sentence);
    });
  }

  ForwardCase call_of_flags() const {
    const ForwardCase call = options_.problem.call();
    if (call.operation != Operation::forward)
      throw Error(ErrorCode::invalid_config, "tune measures the forward pass alone, not --op " +
                                                 std::string(name(call.operation)));
    require_scalars(call);
    return call;
  }

  static void show(const TuneProgress& step, Progress& progress) {
    std::string note = llvm::formatv("{0} {1}/{2}", step.stage, step.done, step.total);
    if (step.best_microseconds)
      note += llvm::formatv(", best {0:f1} us", *step.best_microseconds).str();
    progress.update(static_cast<std::int64_t>(step.group), note);
  }

  Options options_;
  TuneJob job_;
  ScheduleTable start_;
  std::vector<BlockedSchedule> blocked_;
};

/// A table of rows then and now. Wrong where any has drifted.
Exit print_drift(const std::vector<Drift>& all, double tolerance, llvm::raw_ostream& out) {
  Table table({"us now", "recorded", "drift", "gain", "verdict", "row", "calls"});
  bool has_drifted = false;
  for (const Drift& drift : all) {
    const bool is_bad = drift.has_drifted(tolerance);
    has_drifted = has_drifted || is_bad;
    const bool is_known = drift.recorded > 0 && drift.outcome.ok();
    table.add({drift.microseconds > 0 ? fixed(drift.microseconds, 1) : "-",
               drift.recorded > 0 ? fixed(drift.recorded, 1) : "-",
               is_known ? fixed(100 * (drift.microseconds / drift.recorded - 1), 1) + "%" : "-",
               drift.has_row() ? fixed(drift.gain, 3) : "-",
               !drift.has_row() ? "no row"
               : !drift.outcome.ok()
                   ? std::string(name(drift.outcome.fate)) + ": " + drift.outcome.reason
               : is_bad ? "drifted"
                        : "holds",
               drift.has_row() ? drift.origin : "-", drift.group.describe()});
  }
  table.print(out);
  return has_drifted ? Exit::wrong : Exit::ok;
}

void add_flags(Flags& flags, Options& options) {
  options.problem.add_to(flags);
  if (options.job_file) flags.refuse_added("the job says what to tune");
  flags.section("device");
  flags.add("target", "sm_90a|cpu", "where to run; cpu is the host (the device's)", options.target);
  flags.add("device", "N", "CUDA ordinal (0)", options.device);
  flags.add("gpus", "all|LIST",
            "race groups on several GPUs of one class side by side, such as 0,1", options.gpus);
  flags.exclude({"device", "gpus"});
  flags.add("jobs", "N", "processes that compile (cores - 1)", options.jobs);
  flags.section("method");
  flags.add("budget", "TIME", "stop after 90s, 10m, 1h; --resume goes on (none)", options.budget);
  flags.add("candidates", "N", "most that are built for a group, best by the model; 0: all (400)",
            options.method.candidates);
  flags.add("rounds", "N", "between those that come to the finals (9)",
            options.method.final_rounds);
  flags.add("round-ms", "X", "milliseconds of a schedule in a round of the finals (35)",
            options.method.final_milliseconds);
  add_timing_flags(flags, options.timing);
  flags.add("dry-run", "print what would be tried; needs no GPU with --target", options.dry_run);
  flags.add("seed", "N", "of the order of rounds (1)", options.method.seed);
  flags.add("start", "FILE", "rows in use before the shipped ones; may be repeated",
            [&options](llvm::StringRef text) { options.pins.push_back(text.str()); });
  flags.add("block-list", "FILE", "schedules not to try; gets those that were wrong",
            options.block_list);
  flags.section("output");
  flags.add("out", "FILE", "write the rows", options.out);
  flags.add("journal", "FILE", "what was measured (OUT.journal.jsonl)", options.journal);
  flags.add("resume", "go on with the journal of a tuning that was stopped or killed",
            options.resume);
  flags.add("report", "FILE", "write an HTML page with maps of the times", options.report);
  flags.add("finals", "FILE", "write the rounds that decide, to be kept beside the rows",
            options.finals);
  flags.add("replay", "FILE", "decide by what a journal or --finals has, and measure nothing",
            options.replay);
  flags.add("explain", "print finalists, the reason for each winner, and refusals",
            options.explain);
  flags.section("measuring rows again");
  flags.add("check", "FILE", "measure the rows of a table for the job's calls; 1 if they drifted",
            options.check);
  flags.add("tolerance", "X", "percent between the recorded time and the one now (5)",
            options.tolerance);
  flags.exclude({"check", "out"});
  flags.exclude({"check", "finals"});
  flags.exclude({"check", "replay", "journal"});
  flags.exclude({"check", "resume"});
  for (const char* other : {"gpus", "report", "explain", "budget", "block-list", "start"})
    flags.exclude({"check", other});
  for (const char* other : {"resume", "budget", "gpus", "device"}) flags.exclude({"replay", other});
  flags.exclude({"dry-run", "check", "replay"});
}

Exit tune(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  Options options;
  if (!args.empty() && !llvm::StringRef(args.front()).starts_with("-")) {
    options.job_file = args.front();
    args = args.drop_front();
  }
  Flags flags("tune [JOB.toml] [flags]",
              "Finds the schedules that are fastest for the calls of a job, or for the one that\n"
              "the flags state, and writes them as rows for --pin. Every candidate is checked\n"
              "before it is timed. Exits with 5 when time was up or it was interrupted.");
  add_flags(flags, options);
  if (!flags.parse(args, out)) return Exit::ok;
  require_own_files(files_of(options));

  const bool explain = options.explain;
  if (options.dry_run) {
    Tuning(options).print_candidates(out);
    return Exit::ok;
  }
  if (options.check) return print_drift(Tuning(options).check_rows(), options.tolerance / 100, out);
  Tuning tuning(std::move(options));
  const TuneReport report = tuning.run();
  tuning.save(report);
  print_tune_summary(report, out);
  if (explain) print_tune_explanation(report, out);
  return report.is_complete ? Exit::ok : Exit::incomplete;
}

}  // namespace

Exit tune_command(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  const llvm::StringRef first = args.empty() ? llvm::StringRef() : llvm::StringRef(args.front());
  if (first == "worker") return tune_worker_action(args.drop_front(), out);
  if (first == "export") return tune_export_action(args.drop_front(), out);
  if (first == "install") return tune_install_action(args.drop_front(), out);
  return tune(args, out);
}

}  // namespace streamattn
