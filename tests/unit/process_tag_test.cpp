// Telling living processes from dead ones.
#include "support/process_tag.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "tests/support/catch.h"

using namespace streamattn;

TEST_CASE("a process tag names a living process until it dies") {
  std::array<int, 2> tag_pipe, stop_pipe;
  REQUIRE((::pipe(tag_pipe.data()) == 0 && ::pipe(stop_pipe.data()) == 0));
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string tag = process_tag();
    char stop;
    ::close(stop_pipe[1]);
    const bool told = ::write(tag_pipe[1], tag.data(), tag.size()) > 0;
    ::_exit(told && ::read(stop_pipe[0], &stop, 1) == 0 ? 0 : 1);
  }
  std::array<char, 100> buffer;
  const ssize_t size = ::read(tag_pipe[0], buffer.data(), buffer.size());
  REQUIRE(size > 0);
  const std::string tag(buffer.data(), static_cast<std::size_t>(size));
  CHECK(tag != process_tag());
  CHECK_FALSE(is_of_dead_process(tag + "-and-more"));
  for (const int fd : {stop_pipe[0], stop_pipe[1], tag_pipe[0], tag_pipe[1]}) ::close(fd);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(is_of_dead_process(tag + "-and-more"));
}

TEST_CASE("a process that took over a pid is not the one that had it") {
  const std::string tag = process_tag();
  CHECK_FALSE(is_of_dead_process(tag));
  CHECK(is_of_dead_process(tag + "0"));
}

TEST_CASE("nobody is called dead for a name that is not understood") {
  const std::string tag = process_tag();
  CHECK_FALSE(is_of_dead_process(""));
  CHECK_FALSE(is_of_dead_process("file"));
  CHECK_FALSE(is_of_dead_process("aaaaaaaa-1-2"));
  CHECK_FALSE(is_of_dead_process(tag.substr(0, 8) + "-x-2"));
}
