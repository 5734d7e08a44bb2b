// Filters, limits and prints log lines.
#include "support/log.h"

#include <pthread.h>
#include <unistd.h>

#include <llvm/ADT/STLExtras.h>
#include <llvm/ADT/SmallVector.h>
#include <llvm/ADT/StringExtras.h>
#include <llvm/ADT/StringRef.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <string>

#include "streamattn/error.h"
#include "support/environment.h"

namespace streamattn {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array<std::string_view, 5> level_names{"off", "error", "warning", "info", "debug"};
constexpr std::array<std::string_view, 8> topic_names{"key",  "cache",  "compile", "config",
                                                      "load", "launch", "tune",    "security"};
constexpr unsigned all_topics = (1u << topic_names.size()) - 1;

constexpr int lines_per_window = 10;
constexpr std::chrono::seconds window(10);

struct Budget {
  Clock::time_point begin{};
  int lines = 0;
  int left_out = 0;
};

// What the process has been told and what it has printed: the one state shared by all of it.
struct Logger {
  // Both in one word, so that a reader needs no lock: topics in the low bits, level above them.
  std::atomic<unsigned> enabled{pack(LogLevel::warning, all_topics)};
  std::mutex mutex;
  LogCallback callback;
  std::array<std::array<Budget, topic_names.size()>, level_names.size()> budgets;
  std::set<std::string, std::less<>> said;

  static constexpr unsigned pack(LogLevel level, unsigned topics) {
    return static_cast<unsigned>(level) << 16 | topics;
  }
};

Logger& make_logger();

// Kept for good: caches and kernels may be used while the process ends.
Logger& logger() {
  static Logger& instance = make_logger();
  return instance;
}

Logger& make_logger() {
  // A child forked while another thread prints would find the mutex locked for ever.
  ::pthread_atfork([] { logger().mutex.lock(); }, [] { logger().mutex.unlock(); },
                   [] { logger().mutex.unlock(); });
  return *new Logger;
}

template <std::size_t count>
std::size_t position(const std::array<std::string_view, count>& names, llvm::StringRef word,
                     std::string_view setting, std::string_view origin) {
  const auto* found = std::ranges::find(names, std::string_view(word.data(), word.size()));
  if (found == names.end()) {
    throw Error(ErrorCode::invalid_config, std::string(origin) + " is '" + std::string(setting) +
                                               "': '" + word.str() + "' is none of " +
                                               llvm::join(names, ", "));
  }
  return static_cast<std::size_t>(found - names.begin());
}

// How many earlier lines were left out, or -1 if this one is too.
int take_turn(Budget& budget) {
  const Clock::time_point now = Clock::now();
  if (now - budget.begin >= window) budget = {.begin = now, .left_out = budget.left_out};
  if (budget.lines == lines_per_window) {
    ++budget.left_out;
    return -1;
  }
  ++budget.lines;
  return std::exchange(budget.left_out, 0);
}

// With the mutex held.
void print(Logger& log, LogLevel level, LogTopic topic, std::string_view message) {
  const int left_out =
      take_turn(log.budgets[static_cast<std::size_t>(level)][static_cast<std::size_t>(topic)]);
  if (left_out < 0) return;
  std::string text(message);
  if (left_out > 0) text += " (" + std::to_string(left_out) + " lines before it were left out)";
  const std::string_view topic_name = topic_names[static_cast<std::size_t>(topic)];
  if (log.callback) return log.callback(level, topic_name, text);
  const std::string line =
      "streamattn: " + std::string(level_names[static_cast<std::size_t>(level)]) + ": " +
      std::string(topic_name) + ": " + text + "\n";
  // One write, so that the lines of several processes do not mix. Nobody is told if stderr is gone.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

bool log_enabled(LogLevel level, LogTopic topic) {
  const unsigned enabled = logger().enabled.load(std::memory_order_relaxed);
  return static_cast<unsigned>(level) <= enabled >> 16 &&
         (enabled >> static_cast<unsigned>(topic) & 1) != 0;
}

void log(LogLevel level, LogTopic topic, std::string_view message) {
  if (!log_enabled(level, topic)) return;
  Logger& log = logger();
  const std::lock_guard lock(log.mutex);
  print(log, level, topic, message);
}

void log_once(LogLevel level, LogTopic topic, std::string_view message) {
  if (!log_enabled(level, topic)) return;
  Logger& log = logger();
  const std::lock_guard lock(log.mutex);
  if (log.said.emplace(message).second) print(log, level, topic, message);
}

void set_log_level(std::string_view setting, std::string_view origin) {
  llvm::SmallVector<llvm::StringRef, 8> words;
  llvm::StringRef(setting.data(), setting.size()).split(words, ':');
  const auto level = static_cast<LogLevel>(position(level_names, words[0], setting, origin));
  unsigned topics = words.size() == 1 ? all_topics : 0;
  for (const llvm::StringRef word : llvm::drop_begin(words)) {
    topics |= 1u << position(topic_names, word, setting, origin);
  }
  logger().enabled.store(Logger::pack(level, topics), std::memory_order_relaxed);
}

void set_log_level(std::string_view setting) { set_log_level(setting, "the log level"); }

void set_log_level_from_environment() {
  if (const auto setting = environment("STREAMATTN_LOG")) set_log_level(*setting, "STREAMATTN_LOG");
}

void set_log_callback(LogCallback callback) {
  Logger& log = logger();
  const std::lock_guard lock(log.mutex);
  log.callback = std::move(callback);
  log.budgets = {};
  log.said.clear();
}

}  // namespace streamattn
