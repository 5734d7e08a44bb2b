// Runs a job on the answers that a file has.
#include "autotune/replay.h"

#include "autotune/finals_file.h"
#include "autotune/journaled_device.h"
#include "autotune/outcome_json.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

/// Where a journal was written. Nobody may ask it anything else.
class AbsentDevice final : public TuneDevice {
 public:
  explicit AbsentDevice(const llvm::json::Object& head)
      : target_(find_target(head.getString("target").value_or("").str())), site_(read_site(head)) {}

  const Target& target() const override { return target_; }
  TuneSite site() override { return site_; }
  void build(const Problem&, const std::vector<Schedule>&,
             const std::function<void(std::size_t, const BuildOutcome&)>&) override {
    throw TuningStopped();
  }
  CheckOutcome check(const ForwardCase&, const Schedule&) override { throw TuningStopped(); }
  TimeOutcome time(const ForwardCase&, const Schedule&, int) override { throw TuningStopped(); }

 private:
  const Target& target_;
  TuneSite site_;
};

}  // namespace

TuneReport replay_tune_job(const std::filesystem::path& journal, const TuneJob& job,
                           const TuneMethod& method) {
  std::vector<llvm::json::Object> lines = read_json_lines(journal);
  if (is_finals_head(lines.front())) return read_finals(lines, journal.native(), job);
  take_sums(lines, journal.native());
  AbsentDevice device(lines.front());
  const TuneSettings settings{.method = method,
                              .journal = journal,
                              .open = Journal::Open::read_only,
                              .is_replay = true,
                              .should_stop = [] { return true; },
                              .progress = [](const TuneProgress&) {}};
  return run_tune_job(device, job, settings, [](const TuneReport&) {});
}

}  // namespace streamattn
