// Several devices that work on the groups of one job: whoever is done first, the file is the same.
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "autotune/device_class.h"
#include "autotune/journaled_device.h"
#include "autotune/tune_session.h"
#include "autotune/tuned_rows.h"
#include "autotune/worker_device.h"
#include "streamattn/compiler.h"
#include "streamattn/error.h"
#include "support/hash.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"
#include "tests/support/simulated_device.h"

namespace streamattn {
namespace {

/// Between 100 and 200, a schedule's own at a length, and the same on every device.
double time_of(const ForwardCase& call, const Schedule& schedule) {
  const Digest bytes = digest(schedule.describe() + std::to_string(call.shape.kv_len));
  return 100 + 100.0 * (bytes[0] * 256 + bytes[1]) / 65536;
}

/// A device without noise that is in no hurry: how long its steps take is drawn.
class UnhurriedDevice final : public TuneDevice {
 public:
  explicit UnhurriedDevice(std::uint64_t seed, SimulatedWorld world = {})
      : device_([&] {
          world.noise = world.stragglers = world.drift = 0;
          if (!world.truth) world.truth = time_of;
          return world;
        }()),
        random_(seed) {}

  const Target& target() const override { return device_.target(); }
  TuneSite site() override { return device_.site(); }
  void build(const Problem& of, const std::vector<Schedule>& schedules,
             const std::function<void(std::size_t, const BuildOutcome&)>& done) override {
    wait(2000);
    device_.build(of, schedules, done);
  }
  CheckOutcome check(const ForwardCase& call, const Schedule& schedule) override {
    return device_.check(call, schedule);
  }
  TimeOutcome time(const ForwardCase& call, const Schedule& schedule, int runs) override {
    wait(60);
    return device_.time(call, schedule, runs);
  }

  std::size_t timings() const { return device_.timings; }

 private:
  void wait(int microseconds) {
    std::this_thread::sleep_for(std::chrono::microseconds(random_() % microseconds));
  }

  SimulatedDevice device_;
  std::mt19937_64 random_;
};

TuneJob job_of_lengths(const std::vector<std::int64_t>& lengths) {
  std::vector<ForwardCase> calls;
  for (const int head_dim : {64, 128})
    for (const std::int64_t length : lengths) {
      ForwardCase call;
      call.problem.head_dim = head_dim, call.problem.mask = causal();
      call.shape = {.batch = 4, .kv_heads = 16, .q_len = length, .kv_len = length};
      calls.push_back(call);
    }
  TuneJob job = job_of(calls);
  job.space = {{"tile_kv", {std::int64_t{80}, std::int64_t{96}, std::int64_t{128}}},
               {"stages", {std::int64_t{2}}},
               {"o_passes", {std::int64_t{1}}},
               {"section_heads", {std::int64_t{0}}},
               {"tile_order", {std::string("dynamic")}}};
  return job;
}

/// Three devices with a journal.
struct Machine {
  explicit Machine(std::uint64_t seed) {
    for (std::uint64_t i = 0; i < 3; i++)
      devices.push_back(std::make_unique<UnhurriedDevice>(3 * seed + i));
  }

  std::string tune(const TuneJob& job, Journal::Open how = Journal::Open::new_file,
                   std::size_t most_steps = 1'000'000) {
    std::size_t steps = 0;
    const TuneSettings settings{.method = {.candidates = 24},
                                .journal = folder.path() / "journal.jsonl",
                                .open = how,
                                .should_stop = [&] { return ++steps > most_steps; },
                                .progress = [](const TuneProgress&) {}};
    std::vector<TuneDevice*> all;
    for (const auto& device : devices) all.push_back(device.get());
    report = run_tune_job(all, job, settings, [](const TuneReport&) {});
    return rows_toml(tuned_rows(report.results, *report.target), report.site, *report.target);
  }

  std::size_t timings() const {
    std::size_t sum = 0;
    for (const auto& device : devices) sum += device->timings();
    return sum;
  }

  std::vector<std::unique_ptr<UnhurriedDevice>> devices;
  ScratchFolder folder;
  TuneReport report;
};

const TuneJob job = job_of_lengths({512, 1024, 2048, 4096, 8192});

TEST_CASE("three devices write the same file, whoever is done first") {
  std::string rows;
  for (std::uint64_t seed = 1; seed <= 8; seed++) {
    Machine machine(seed);
    const std::string now = machine.tune(job);
    CHECK(machine.report.is_complete);
    REQUIRE(machine.report.results.size() == job.groups.size());
    for (std::size_t i = 0; i < job.groups.size(); i++)
      CHECK(machine.report.results[i].group.describe() == job.groups[i].describe());
    for (const auto& device : machine.devices) CHECK(device->timings() > 0);
    if (rows.empty()) rows = now;
    CHECK(now == rows);
  }
}

TEST_CASE("stopped and resumed, three devices give the same file and ask nothing twice") {
  Machine whole(1);
  const std::string rows = whole.tune(job);
  for (const std::size_t steps : {1, 40, 200, 333, 600}) {
    Machine machine(steps);
    machine.tune(job, Journal::Open::new_file, steps);
    CHECK_FALSE(machine.report.is_complete);
    CHECK(machine.tune(job, Journal::Open::resume) == rows);
    CHECK(machine.report.is_complete);
    CHECK(machine.timings() == whole.timings());
  }
}

TEST_CASE("groups that ask for the same calls take turns") {
  const TuneJob twice = job_of_lengths({512, 512, 1024, 512});
  Machine one(1), two(2);
  CHECK(one.tune(twice) == two.tune(twice));
  CHECK(one.timings() == two.timings());
}

TEST_CASE("rows do not reach over a group that is not finished") {
  std::vector<GroupResult> results;
  Machine machine(1);
  machine.tune(job_of_lengths({513, 1024, 2048}));
  for (GroupResult result : machine.report.results) {
    result.decision->winner = machine.report.results.front().decision->winner;
    if (result.group.call.problem.head_dim == 64) results.push_back(result);
  }
  for (GroupResult& result : results) result.group.shapes = {{4, 64, 2048, 2048}};
  CHECK(tuned_rows(results, *machine.report.target).size() == 1);
  results.erase(results.begin() + 1);
  CHECK(tuned_rows(results, *machine.report.target).size() == 2);
}

TEST_CASE("what one device throws ends the others, and is thrown") {
  Machine machine(1);
  machine.devices[1] = std::make_unique<UnhurriedDevice>(
      9, SimulatedWorld{.truth = [](const ForwardCase&, const Schedule&) -> double {
        throw Error(ErrorCode::no_device, "it fell off the bus");
      }});
  CHECK(error_of([&] { machine.tune(job); }) == "no_device: it fell off the bus");
}

TEST_CASE("devices of another class than the first are left out with the reason") {
  SimulatedDevice first({}), same({}), other({.device = "Another GPU"}), warm({.l2 = "warm"});
  WorkerDevice broken({"/nonexistent"}, first.target(), 1);
  std::vector<std::string> said;
  const auto alike = of_one_class({&first, &other, &same, &warm, &broken}, {0, 1, 3, 4, 6},
                                  [&](const std::string& sentence) { said.push_back(sentence); });
  CHECK(alike == std::vector<TuneDevice*>{&first, &same});
  REQUIRE(said.size() == 3);
  CHECK(said[0] == "GPU 1 is left out: it is Another GPU, GPU 0 is Simulated H200");
  CHECK(said[1] == "GPU 4 is left out: its l2 is warm, that of GPU 0 is cold");
  CHECK_THAT(said[2], contains_text("GPU 6 is left out: the worker that measures does not answer"));
}

TEST_CASE("devices compile in turns, each with all processes") {
  const ScratchFolder folder;
  const std::string log = (folder.path() / "log").native();
  const std::vector<std::string> worker = {"/bin/sh", "-c",
                                           "while read line; do echo -n b >> " + log +
                                               "; sleep 0.02; echo -n e >> " + log +
                                               "; echo '{\"fate\": \"ok\"}'; done"};
  const Target& hopper = find_target("sm_90a");
  const auto turn = std::make_shared<std::mutex>();
  WorkerDevice one(worker, hopper, 1, {}, turn), two(worker, hopper, 1, {}, turn);
  std::atomic<int> built = 0;
  const auto build = [&](WorkerDevice& device) {
    const Schedule schedule("flash_wgmma");
    device.build({}, {schedule, schedule, schedule},
                 [&](std::size_t, const BuildOutcome& outcome) { built += outcome.ok(); });
  };
  std::thread other([&] { build(two); });
  build(one);
  other.join();
  CHECK(built == 6);
  CHECK(read_file(log) == "bebebebebebe");
}

}  // namespace
}  // namespace streamattn
