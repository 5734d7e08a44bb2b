// Progress lines.
#include "support/progress.h"

#include <fcntl.h>
#include <unistd.h>

#include "support/files.h"
#include "tests/support/catch.h"
#include "tests/support/scratch.h"

using namespace streamattn;
using namespace std::chrono_literals;

namespace {

std::string output_of(Progress::Output output, int updates) {
  const ScratchFolder folder;
  const auto path = folder.path() / "out";
  const FileDescriptor file(::open(path.c_str(), O_CREAT | O_WRONLY, 0600));
  output.fd = file.get();
  {
    Progress progress("work", updates, output);
    for (int done = 1; done <= updates; ++done) progress.update(done);
  }
  return read_file(path);
}

}  // namespace

TEST_CASE("a progress line tells what is done, what is left and how long it takes") {
  CHECK(progress_line("bench", 7, 42, 38s, "causal 4k") == "bench 7/42 (16%), eta 3:10: causal 4k");
  CHECK(progress_line("bench", 1, 3, 1h, "") == "bench 1/3 (33%), eta 2:00:00");
}

TEST_CASE("a progress line promises no time it cannot know") {
  CHECK(progress_line("bench", 0, 42, 5s, "") == "bench 0/42 (0%)");
  CHECK(progress_line("bench", 42, 42, 5s, "") == "bench 42/42 (100%)");
  CHECK(progress_line("bench", 7, 0, 5s, "x") == "bench 7: x");
}

TEST_CASE("a terminal line is rewritten and cleared at the end") {
  CHECK(output_of({.is_terminal = true, .terminal_interval = 0ms}, 2) ==
        "\r\x1b[K\x1b[?7lwork 1/2 (50%), eta 0:00\x1b[?7h"
        "\r\x1b[K\x1b[?7lwork 2/2 (100%)\x1b[?7h"
        "\r\x1b[K");
}

TEST_CASE("without a terminal lines are plain and sparse") {
  CHECK(output_of({.plain_interval = 0ms}, 2) == "work 1/2 (50%), eta 0:00\nwork 2/2 (100%)\n");
  CHECK(output_of({}, 1000).empty());
}
