// Starts, talks to and kills child processes.
#include "autotune/worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <llvm/Support/FormatVariadic.h>

#include "streamattn/error.h"

namespace streamattn {
namespace {

struct Pipe {
  FileDescriptor read_end, write_end;
};

// Of sockets, so that writing to a child that is gone is an error and no signal.
Pipe make_pipe() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw Error(ErrorCode::launch_failed,
                "no connection to a worker can be made: " + std::string(std::strerror(errno)));
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

// In the child, between fork and exec: nothing here may allocate or lock.
[[noreturn]] void become(char* const* arguments, int input, int output, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before the line above
  if (::dup2(input, 0) == 0 && ::dup2(output, 1) == 1) ::execvp(arguments[0], arguments);
  ::_exit(127);
}

}  // namespace

WorkerProcess::WorkerProcess(const std::vector<std::string>& command) {
  std::vector<std::string> copies = command;
  std::vector<char*> arguments;
  for (std::string& argument : copies) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  Pipe in = make_pipe(), out = make_pipe();
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) become(arguments.data(), in.read_end.get(), out.write_end.get(), parent);
  if (pid_ < 0)
    throw Error(ErrorCode::launch_failed,
                "no worker can be started: " + std::string(std::strerror(errno)));
  ::setpgid(pid_, pid_);  // as the child does: whoever comes first
  group_ = pid_;
  to_ = std::move(in.write_end), from_ = std::move(out.read_end);
  ::fcntl(from_.get(), F_SETFL, O_NONBLOCK);
}

WorkerProcess::~WorkerProcess() {
  // The group has what it started, too.
  ::kill(-group_, SIGKILL);
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

bool WorkerProcess::send(const std::string& line) {
  std::string rest = line + "\n";
  while (!rest.empty()) {
    const ssize_t sent = ::send(to_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    rest.erase(0, static_cast<std::size_t>(sent));
  }
  return true;
}

bool WorkerProcess::read_some() {
  char block[1 << 16];
  while (true) {
    const ssize_t count = ::read(from_.get(), block, sizeof block);
    if (count > 0) {
      buffer_.append(block, static_cast<std::size_t>(count));
    } else if (count < 0 && errno == EINTR) {
      continue;
    } else {
      return count < 0 && errno == EAGAIN;
    }
  }
}

std::optional<std::string> WorkerProcess::next_line() {
  const std::size_t end = buffer_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return line;
}

std::optional<std::string> WorkerProcess::receive(Clock::time_point deadline) {
  while (true) {
    if (auto line = next_line()) return line;
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return std::nullopt;
    pollfd waiting{from_.get(), POLLIN, 0};
    ::poll(&waiting, 1, static_cast<int>(std::min<long>(left, 1000)));
    if (!read_some()) return next_line();
  }
}

std::string WorkerProcess::ending() {
  int status = 0;
  const pid_t ended = ::waitpid(pid_, &status, 0);
  pid_ = -1;
  if (ended < 0) return "it is gone";
  if (WIFSIGNALED(status)) return llvm::formatv("it was killed by signal {0}", WTERMSIG(status));
  return llvm::formatv("it ended with exit code {0}", WEXITSTATUS(status));
}

}  // namespace streamattn
