// Runs a part of a test in a forked child.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>

#include "tests/support/skip.h"

// ThreadSanitizer ends the child of a process with threads that starts some of its own.
#ifdef __SANITIZE_THREAD__
#define SKIP_TEST_OF_THREADS_IN_CHILD() SKIP_TEST("the thread sanitizer cannot follow it")
#else
#define SKIP_TEST_OF_THREADS_IN_CHILD()
#endif

namespace streamattn {

/// The exit code of a forked child that returns it from `body` or ends itself; minus the signal
/// that ended the child, which is SIGALRM for one that is still there after 30 seconds.
inline int exit_code_of_child(const std::function<int()>& body) {
  std::fflush(nullptr);  // or the child prints it once more
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(30);
    int code = 255;
    try {
      code = body();
    } catch (...) {
    }
    ::_exit(code);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return 255;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace streamattn
