// Tuning on first use: on the CPU from end to end, and on made-up devices with a clock of their
// own.
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "autotune/first_use.h"
#include "streamattn/jit.h"
#include "tests/support/catch.h"
#include "tests/support/forked.h"
#include "tests/support/scratch.h"
#include "tests/support/simulated_device.h"

namespace streamattn {
namespace {

const Target& hopper = find_target("sm_90a");
const JitOptions on_hopper{.target = "sm_90a", .device = 0};
const Problem problem{.head_dim = 128, .mask = causal()};
const Shape shape{.batch = 8, .kv_heads = 16, .q_len = 1000, .kv_len = 1000};

/// A simulated device whose steps take time on a clock that the test reads.
class TimedDevice final : public TuneDevice {
 public:
  TimedDevice(SimulatedWorld world, std::atomic<double>& seconds)
      : device_(std::move(world)), seconds_(seconds) {}

  const Target& target() const override { return device_.target(); }
  TuneSite site() override { return device_.site(); }
  void build(const Problem& of, const std::vector<Schedule>& schedules,
             const std::function<void(std::size_t, const BuildOutcome&)>& done) override {
    device_.build(of, schedules, [&](std::size_t i, BuildOutcome outcome) {
      outcome.milliseconds = 100;
      seconds_ = seconds_ + 0.1;
      done(i, outcome);
    });
  }
  CheckOutcome check(const ForwardCase& call, const Schedule& schedule) override {
    seconds_ = seconds_ + 0.002;
    return device_.check(call, schedule);
  }
  TimeOutcome time(const ForwardCase& call, const Schedule& schedule, int runs) override {
    seconds_ = seconds_ + 0.0003 * runs;
    return device_.time(call, schedule, runs);
  }

 private:
  SimulatedDevice device_;
  std::atomic<double>& seconds_;
};

Schedule first_guess() {
  return choose(Operation::forward, problem, shape, hopper, ScheduleTable()).schedule;
}

/// A tuner of made-up devices.
struct Simulation {
  FirstUse tuner(const std::filesystem::path& table, double budget_seconds = 20) {
    return {{.budget_seconds = budget_seconds, .table = table},
            [this](const JitOptions&) {
              devices++;
              return std::make_unique<TimedDevice>(world, seconds);
            },
            [this] { return seconds.load(); }};
  }

  // Anything is faster than the first guess.
  SimulatedWorld world{.truth = [](const ForwardCase&, const Schedule& schedule) {
    return schedule == first_guess() ? 200.0 : 100.0;
  }};
  std::atomic<double> seconds = 0;
  std::atomic<int> devices = 0;
};

TEST_CASE("what a program asks for is tuned within the budget and kept with its provenance") {
  const ScratchFolder folder;
  const auto table = folder.path() / "new" / "tuned.toml";
  for (const double budget : {3.0, 20.0}) {
    std::filesystem::remove_all(table.parent_path());
    Simulation simulation;
    FirstUse tuner = simulation.tuner(table, budget);
    const auto found = tuner.choose(on_hopper, Operation::forward, problem, shape);
    CHECK(simulation.seconds < budget + 0.5);  // builds of four are a step
    REQUIRE(found);
    CHECK(found->schedule != first_guess());
    CHECK(found->reason == "row " + table.native() + ":3, tuned on Simulated H200");
    const auto row = ScheduleTable::load(table).find(Operation::forward, problem, shape, hopper);
    REQUIRE(row);
    CHECK(row->device == "Simulated H200");
    CHECK(row->record.timed.driver == "1.0");
    CHECK(row->record.shapes == std::vector<std::string>{"8 x 16 x 1000 x 1000"});
    CHECK(row->record.gain > 1);
  }
}

TEST_CASE("calls of a class share a row, another class is tuned, a later process takes both") {
  const ScratchFolder folder;
  const auto table = folder.path() / "tuned.toml";
  Shape same = shape, other = shape;
  same.q_len = same.kv_len = 600;
  other.q_len = other.kv_len = 1025;
  {
    Simulation simulation;
    FirstUse tuner = simulation.tuner(table);
    const auto first = tuner.choose(on_hopper, Operation::forward, problem, shape);
    const int devices = simulation.devices;
    const auto second = tuner.choose(on_hopper, Operation::forward, problem, same);
    CHECK(simulation.devices == devices);
    CHECK(second->schedule == first->schedule);
    CHECK(tuner.choose(on_hopper, Operation::forward, problem, other));
    CHECK(simulation.devices == devices + 1);
    CHECK(ScheduleTable::load(table).size() == 2);
  }
  Simulation later;
  FirstUse tuner = later.tuner(table);
  for (const Shape& asked : {shape, same, other})
    CHECK(tuner.choose(on_hopper, Operation::forward, problem, asked));
  CHECK(later.devices == 1);  // to ask what it is
  CHECK(later.seconds == 0);
}

TEST_CASE("two processes that find rows keep those of both") {
  const ScratchFolder folder;
  const auto table = folder.path() / "tuned.toml";
  Simulation simulation;
  FirstUse one = simulation.tuner(table), two = simulation.tuner(table);
  Shape other = shape;
  other.kv_len = 5000;
  CHECK(one.choose(on_hopper, Operation::forward, problem, shape));
  CHECK(two.choose(on_hopper, Operation::forward, problem, other));
  CHECK(ScheduleTable::load(table).size() == 2);
}

TEST_CASE("threads that ask for one kernel tune it once") {
  const ScratchFolder folder;
  Simulation simulation;
  FirstUse tuner = simulation.tuner(folder.path() / "tuned.toml");
  std::vector<std::optional<Choice>> found(6);
  std::vector<std::thread> threads;
  for (auto& choice : found)
    threads.emplace_back(
        [&] { choice = tuner.choose(on_hopper, Operation::forward, problem, shape); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& choice : found) {
    REQUIRE(choice);
    CHECK(choice->schedule == found.front()->schedule);
  }
  CHECK(simulation.devices == 2);  // the other was asked what it is
  CHECK(ScheduleTable::load(folder.path() / "tuned.toml").size() == 1);
}

TEST_CASE("a child that is born while its parent tunes does not wait for it") {
  const ScratchFolder folder;
  std::atomic<bool> is_held = true, has_begun = false;
  Simulation simulation;
  simulation.world.fate = [&](const std::string&, const Schedule&) {
    has_begun = true;
    while (is_held) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return Fate::ok;
  };
  FirstUse tuner = simulation.tuner(folder.path() / "tuned.toml");
  const auto ask = [&] {
    return tuner.choose(on_hopper, Operation::forward, problem, shape).has_value();
  };
  bool has_found = false;
  std::thread asking([&] { has_found = ask(); });
  while (!has_begun) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const int code = exit_code_of_child([&] {
    is_held = false;
    return ask() ? 0 : 1;
  });
  is_held = false;
  asking.join();
  CHECK(code == 0);
  CHECK(has_found);
}

TEST_CASE("what cannot be tuned is left at the first guess, and asked for once") {
  const ScratchFolder folder;
  const auto table = folder.path() / "tuned.toml";
  LogRecorder log;
  SECTION("the budget is too short") {
    Simulation simulation;
    FirstUse tuner = simulation.tuner(table, 0.2);
    CHECK_FALSE(tuner.choose(on_hopper, Operation::forward, problem, shape));
    const int devices = simulation.devices;
    CHECK_FALSE(tuner.choose(on_hopper, Operation::forward, problem, shape));
    CHECK(simulation.devices == devices);
    CHECK(simulation.seconds < 0.5);
    CHECK(log.has("not tuned in 0.20 s: there is no time for a second schedule"));
  }
  SECTION("no step works") {
    for (const std::string step : {"build", "check", "time"}) {
      Simulation simulation;
      simulation.world.fate = [&](const std::string& now, const Schedule&) {
        return now == step ? Fate::refused : Fate::ok;
      };
      FirstUse tuner = simulation.tuner(table);
      CHECK_FALSE(tuner.choose(on_hopper, Operation::forward, problem, shape));
    }
  }
  SECTION("nobody can know before a launch what it is") {
    Simulation simulation;
    FirstUse tuner = simulation.tuner(table);
    Problem paged = problem, windowed = problem;
    paged.kv_layout = SequenceLayout::paged;
    windowed.mask = Expr::parse("k > q - window");
    for (const Problem& other : {paged, windowed})
      CHECK_FALSE(tuner.choose(on_hopper, Operation::forward, other, shape));
    CHECK_FALSE(tuner.choose(on_hopper, Operation::backward, problem, shape));
    CHECK_FALSE(tuner.choose(on_hopper, Operation::forward, problem, {.q_len = 0, .kv_len = 9}));
    CHECK(simulation.devices == 0);
  }
  CHECK_FALSE(std::filesystem::exists(table));
}

TEST_CASE("a table that cannot be written costs what was found with the process") {
  const ScratchFolder folder;
  write_file(folder.path() / "file", "no folder");
  LogRecorder log;
  Simulation simulation;
  FirstUse tuner = simulation.tuner(folder.path() / "file" / "tuned.toml");
  const auto found = tuner.choose(on_hopper, Operation::forward, problem, shape);
  REQUIRE(found);
  CHECK(found->reason == "row found by this process:2, tuned on Simulated H200");
  CHECK(log.has("schedules that were found are not kept: "));
  const int devices = simulation.devices;
  CHECK(tuner.choose(on_hopper, Operation::forward, problem, shape));
  CHECK(simulation.devices == devices);
}

TEST_CASE("a table that was damaged meanwhile is left as it is") {
  const ScratchFolder folder;
  const auto table = folder.path() / "tuned.toml";
  LogRecorder log;
  Simulation simulation;
  FirstUse tuner = simulation.tuner(table);
  write_file(table, "[[schedule]\n");
  CHECK(tuner.choose(on_hopper, Operation::forward, problem, shape));
  CHECK(read_file(table) == "[[schedule]\n");
  CHECK(log.has("tuned.toml:1:12: "));
}

TEST_CASE("options that cannot be used are errors") {
  const ScratchFolder folder;
  const auto table = folder.path() / "tuned.toml";
  CHECK(error_of([&] { tune_on_first_use({.budget_seconds = 0, .table = table}); }) ==
        "invalid_argument: budget_seconds is 0.00, must be positive");
  write_file(table, "[[schedule]\n");
  CHECK_THAT(error_of([&] { tune_on_first_use({.table = table}); }),
             contains_text("invalid_config: " + table.native() + ":1:12: "));
}

TEST_CASE("the user's table is in the folder of configurations") {
  const ScopedVariable config("XDG_CONFIG_HOME", "/etc/some"), home("HOME", "/home/somebody");
  CHECK(default_learned_rows() == "/etc/some/streamattn/tuned.toml");
  const ScopedVariable relative("XDG_CONFIG_HOME", "some");
  CHECK(default_learned_rows() == "/home/somebody/.config/streamattn/tuned.toml");
  const ScopedVariable nowhere("HOME", std::nullopt);
  CHECK(default_learned_rows().empty());
}

TEST_CASE("a Jit on the CPU tunes what it is asked for, and the next one finds it") {
  const ScratchFolder folder;
  const auto table = folder.path() / "tuned.toml";
  const Problem small{.dtype = DType::f32, .head_dim = 32, .mask = causal()};
  const Shape size{.batch = 1, .kv_heads = 2, .q_len = 96, .kv_len = 96};
  std::string schedule;
  {
    const Jit jit = Jit::create(
        {.target = "cpu", .tuner = tune_on_first_use({.budget_seconds = 5, .table = table})});
    const ForwardKernel& kernel = jit.forward(small, size);
    CHECK_THAT(kernel.describe(), contains_text("row " + table.native()));
    CHECK(&jit.forward(small, size) == &kernel);
    schedule = kernel.schedule().describe();
  }
  const ScheduleTable rows = ScheduleTable::load(table);
  CHECK(rows.size() == 1);
  const auto later = [&](JitOptions options) {
    options.target = "cpu";
    return Jit::create(options).forward(small, size).schedule().describe();
  };
  CHECK(later({.pins = rows}) == schedule);
  CHECK(later({.tuner = tune_on_first_use({.budget_seconds = 1e-6, .table = table})}) == schedule);
}

TEST_CASE("a Jit asks its tuner for what no row fits, and takes the first guess where that fails") {
  const Problem small{.dtype = DType::f32, .head_dim = 32};
  const Shape size{.batch = 1, .kv_heads = 1, .q_len = 8, .kv_len = 8};
  int asked = 0;
  JitOptions options{.target = "cpu"};
  LogRecorder log;
  SECTION("an answer is taken") {
    options.tuner = [&](const JitOptions& of, Operation operation, const Problem&, const Shape&) {
      asked++;
      CHECK(of.target == "cpu");
      CHECK_FALSE(of.tuner);
      CHECK(operation == Operation::forward);
      return Choice{parse_schedule("family=cpu_tiled,tile_q=16"), "by the test"};
    };
    const Jit jit = Jit::create(options);
    for (int i = 0; i < 3; i++)
      CHECK_THAT(jit.forward(small, size).describe(), contains_text("by the test"));
    CHECK(asked == 1);
  }
  SECTION("no answer, errors and illegal schedules leave the first guess") {
    const ScheduleTuner tuners[] = {
        [](const auto&...) { return std::nullopt; },
        [](const auto&...) -> std::optional<Choice> {
          throw Error(ErrorCode::launch_failed, "broken");
        },
        [](const auto&...) -> std::optional<Choice> { throw std::runtime_error("also broken"); },
        [](const auto&...) {
          return Choice{parse_schedule("family=cpu_tiled,tile_q=0"), "by the test"};
        }};
    for (const ScheduleTuner& tuner : tuners) {
      options.tuner = tuner;
      const Jit jit = Jit::create(options);
      CHECK_THAT(jit.forward(small, size).describe(), contains_text("first guess of cpu_tiled"));
    }
    CHECK(log.has("not tuned, the first guess is taken: broken"));
    CHECK(log.has("also broken"));
    CHECK(log.has("both sides must be positive"));
  }
  SECTION("a pin is not tuned") {
    options.tuner = [&](const auto&...) {
      asked++;
      return std::nullopt;
    };
    options.pins = ScheduleTable::parse(
        "[[schedule]]\ntarget = \"cpu\"\nuse = { family = \"cpu_tiled\", tile_q = 32 }\n", "p");
    Jit::create(options).forward(small, size);
    CHECK(asked == 0);
  }
}

}  // namespace
}  // namespace streamattn
