// A child process that answers line by line, and that can be killed.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "support/files.h"

namespace streamattn {

/// A child in a process group of its own, so that Ctrl-C does not reach it; it dies with this
/// process, and is killed with the object.
class WorkerProcess {
 public:
  using Clock = std::chrono::steady_clock;

  /// Starts `command`, a program and its arguments. Throws Error (launch_failed) where the system
  /// does not let it; a program that is not there is a child that ends at once.
  explicit WorkerProcess(const std::vector<std::string>& command);
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  ~WorkerProcess();

  /// Writes a line to its standard input. False if it is gone.
  bool send(const std::string& line);

  /// Takes what there is of its standard output without waiting. False once it is gone.
  bool read_some();

  /// The next whole line that was read, without its end.
  std::optional<std::string> next_line();

  /// Waits for a line until `deadline`; nothing where none came or the child is gone.
  std::optional<std::string> receive(Clock::time_point deadline);

  /// What the descriptor to poll for output is.
  int output() const { return from_.get(); }

  /// How it ended, after it was found to be gone: "it was killed by signal 11".
  std::string ending();

 private:
  pid_t pid_ = -1;    // until it was waited for
  pid_t group_ = -1;  // of it and of what it starts
  FileDescriptor to_, from_;
  std::string buffer_;
};

}  // namespace streamattn
