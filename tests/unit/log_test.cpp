// Levels, topics and limits of the log.
#include "support/log.h"

#include <atomic>
#include <thread>

#include "tests/support/catch.h"
#include "tests/support/forked.h"
#include "tests/support/scratch.h"

using namespace streamattn;

namespace {

// Puts the default back, which other tests rely on.
struct DefaultLevel {
  ~DefaultLevel() { set_log_level("warning", "test"); }
};

}  // namespace

TEST_CASE("by default warnings of every topic are logged and information is not") {
  CHECK(log_enabled(LogLevel::error, LogTopic::key));
  CHECK(log_enabled(LogLevel::warning, LogTopic::security));
  CHECK_FALSE(log_enabled(LogLevel::info, LogTopic::cache));
}

TEST_CASE("a setting picks a level and topics") {
  const DefaultLevel restore;
  set_log_level("debug:cache:tune", "test");
  CHECK(log_enabled(LogLevel::debug, LogTopic::cache));
  CHECK(log_enabled(LogLevel::debug, LogTopic::tune));
  CHECK_FALSE(log_enabled(LogLevel::error, LogTopic::compile));
  set_log_level("off", "test");
  CHECK_FALSE(log_enabled(LogLevel::error, LogTopic::cache));
}

TEST_CASE("STREAMATTN_LOG is read, and a bad value is refused by name") {
  const DefaultLevel restore;
  {
    const ScopedVariable set("STREAMATTN_LOG", "info:load");
    set_log_level_from_environment();
    CHECK(log_enabled(LogLevel::info, LogTopic::load));
  }
  const ScopedVariable bad_level("STREAMATTN_LOG", "loud");
  CHECK(error_of(set_log_level_from_environment) ==
        "invalid_config: STREAMATTN_LOG is 'loud': 'loud' is none of off, error, warning, info, "
        "debug");
  const ScopedVariable bad_topic("STREAMATTN_LOG", "info:cash");
  CHECK(error_of(set_log_level_from_environment) ==
        "invalid_config: STREAMATTN_LOG is 'info:cash': 'cash' is none of key, cache, compile, "
        "config, load, launch, tune, security");
}

TEST_CASE("a child forked while another thread logs can log") {
  std::atomic<int> lines = 0;
  set_log_callback([&](LogLevel, std::string_view, std::string_view) { ++lines; });
  std::atomic<bool> done = false;
  std::thread speaker([&] {
    for (int line = 0; !done; ++line) {
      log_once(LogLevel::warning, LogTopic::tune, "line " + std::to_string(line));
    }
  });
  for (int child = 0; child < 50; ++child) {
    CHECK(exit_code_of_child([&] {
            const int before = lines;
            log(LogLevel::error, LogTopic::launch, "from the child");
            return lines == before + 1 ? 0 : 1;
          }) == 0);
  }
  done = true;
  speaker.join();
  set_log_callback({});
}

TEST_CASE("a callback gets the level, the topic and the message of every line that is printed") {
  const DefaultLevel restore;
  std::vector<std::string> lines;
  set_log_level("info");
  set_log_callback([&](LogLevel level, std::string_view topic, std::string_view message) {
    lines.push_back(std::to_string(static_cast<int>(level)) + " " + std::string(topic) + " " +
                    std::string(message));
  });
  streamattn::log(LogLevel::warning, LogTopic::config, "one");
  streamattn::log(LogLevel::info, LogTopic::launch, "two");
  streamattn::log(LogLevel::debug, LogTopic::cache, "three");
  set_log_callback({});
  CHECK(lines == std::vector<std::string>{"2 config one", "3 launch two"});
  CHECK(error_of([] { set_log_level("loud"); }) ==
        "invalid_config: the log level is 'loud': 'loud' is none of off, error, warning, info, "
        "debug");
}

TEST_CASE("a topic that speaks too often is cut short") {
  LogRecorder log;
  // A topic and level that nothing else uses, so that its budget is whole.
  for (int i = 0; i < 30; ++i) streamattn::log(LogLevel::error, LogTopic::tune, "again");
  CHECK(log.lines.size() == 10);
}

TEST_CASE("a message logged once stays said") {
  LogRecorder log;
  for (int i = 0; i < 3; ++i) log_once(LogLevel::warning, LogTopic::tune, "said once by a test");
  CHECK(log.lines == std::vector<std::string>{"said once by a test"});
}
