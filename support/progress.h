// Shows how far a long piece of work has come: one rewritten line on a terminal, else a plain line
// now and then. On stderr, so that it never mixes with results.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace streamattn {

/// One line of progress, such as "bench 7/42 (16%), eta 3:10: causal 4k". `total` 0 is unknown.
std::string progress_line(std::string_view title, std::int64_t done, std::int64_t total,
                          std::chrono::duration<double> elapsed, std::string_view note);

/// A progress line that lives as long as the work does. Thread-safe.
class Progress {
 public:
  struct Output {
    int fd = 2;
    std::optional<bool> is_terminal = {};  ///< default: asks the descriptor
    std::chrono::milliseconds terminal_interval{100};
    std::chrono::milliseconds plain_interval{10'000};
  };

  Progress(std::string title, std::int64_t total) : Progress(std::move(title), total, Output()) {}
  Progress(std::string title, std::int64_t total, Output output);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Clears the line of a terminal.
  ~Progress();

  /// `note` says what is being done now.
  void update(std::int64_t done, std::string_view note = {});

 private:
  using Clock = std::chrono::steady_clock;

  void print(const std::string& text);

  std::mutex mutex_;
  std::string title_;
  std::int64_t total_;
  Output output_;
  bool is_terminal_;
  Clock::time_point begin_;
  Clock::time_point printed_;  // when the last line was
  bool dirty_ = false;         // a terminal line is waiting to be cleared
};

}  // namespace streamattn
