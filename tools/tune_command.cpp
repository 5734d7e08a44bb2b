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
#include "tools/interrupt.h"
#include "tools/output_file.h"
#include "tools/table.h"
#include "tools/tune_options.h"
#include "tools/tune_page.h"
#include "tools/tune_summary.h"

namespace streamattn {
namespace {

/// Where a worker runs: the target that was asked for, else that of the device.
std::string target_name(const TuneOptions& options, const TuneJob& job) {
  if (options.target) return *options.target;
  if (!job.target.empty()) return job.target;
  return try_driver() ? "sm_90a" : "cpu";
}

/// This program as a worker for a device.
std::vector<std::string> worker_command(const TuneOptions& options, const std::string& target,
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

void save_file(const std::string& path, const std::string& content) {
  if (const int error = replace_file(path, content); error != 0)
    throw Error(ErrorCode::invalid_config, "cannot write " + path + ": " + std::strerror(error));
}

class Tuning {
 public:
  explicit Tuning(TuneOptions options) : options_(std::move(options)) {
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
        .journal = options_.journal_path(),
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

  TuneOptions options_;
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

Exit tune(llvm::ArrayRef<std::string> args, llvm::raw_ostream& out) {
  TuneOptions options;
  if (!args.empty() && !llvm::StringRef(args.front()).starts_with("-")) {
    options.job_file = args.front();
    args = args.drop_front();
  }
  Flags flags("tune [JOB.toml] [flags]",
              "Finds the schedules that are fastest for the calls of a job, or for the one that\n"
              "the flags state, and writes them as rows for --pin. Every candidate is checked\n"
              "before it is timed. Exits with 5 when time was up or it was interrupted.");
  options.add_to(flags);
  if (!flags.parse(args, out)) return Exit::ok;
  require_own_files(options.files());

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
