// Publishing, reading back, and directories that can be trusted.
#include "support/files.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "tests/support/catch.h"
#include "tests/support/scratch.h"
#include "tests/support/skip.h"

using namespace streamattn;
namespace fs = std::filesystem;

namespace {

using Status = FileContent::Status;

FileDescriptor open_directory(const fs::path& path) {
  OpenedDirectory opened = open_private_directory(path, false);
  INFO(opened.problem);
  REQUIRE(opened.fd);
  return std::move(opened.fd);
}

std::string problem_of_opening(const fs::path& path) {
  const OpenedDirectory opened = open_private_directory(path, false);
  CHECK(static_cast<bool>(opened.fd) == opened.problem.empty());
  return opened.fd ? "none" : opened.problem;
}

std::string path_problem(const fs::path& path, const std::string& problem) {
  return path.string() + " " + problem;
}

}  // namespace

TEST_CASE("a published file is read back whole and no temporary stays") {
  const ScratchFolder folder;
  const FileDescriptor dir = open_directory(folder.path());
  const std::string bytes(100'000, 'x');
  CHECK(publish_file(dir.get(), "t", dir.get(), "file", bytes) == 0);
  const FileContent content = read_private_file(dir.get(), "file", bytes.size());
  CHECK(content.status == Status::ok);
  CHECK(content.bytes == bytes);
  CHECK(list_directory(dir.get()) == std::vector<std::string>{"file"});
  CHECK((fs::status(folder.path() / "file").permissions() & fs::perms::mask) ==
        (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("publishing keeps the file that is there") {
  const ScratchFolder folder;
  const FileDescriptor dir = open_directory(folder.path());
  CHECK(publish_file(dir.get(), "t", dir.get(), "file", "first") == 0);
  CHECK(publish_file(dir.get(), "t", dir.get(), "file", "second") == EEXIST);
  CHECK(read_file(folder.path() / "file") == "first");
  CHECK(list_directory(dir.get()).size() == 1);
}

TEST_CASE("a file over the file size limit fails to publish and leaves nothing") {
  const ScratchFolder folder;
  const FileDescriptor dir = open_directory(folder.path());
  rlimit old;
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  rlimit low = old;
  low.rlim_cur = 1000;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &low) == 0);
  const int error = publish_file(dir.get(), "t", dir.get(), "file", std::string(1001, 'x'));
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
  CHECK(error == EFBIG);
  CHECK(list_directory(dir.get()).empty());
}

TEST_CASE("what a link leads to is replaced, and the link stays") {
  const ScratchFolder scratch;
  write_file(scratch.path() / "rows", "old");
  std::filesystem::create_symlink("rows", scratch.path() / "link");
  CHECK(replace_file(scratch.path() / "link", "new") == 0);
  CHECK(std::filesystem::is_symlink(scratch.path() / "link"));
  CHECK(read_file(scratch.path() / "rows") == "new");
  CHECK(list_directory(open_directory(scratch.path()).get()).size() == 2);
}

TEST_CASE("a device or a pipe is written to, not replaced") {
  const ScratchFolder scratch;
  const auto pipe = scratch.path() / "pipe", full = scratch.path() / "full";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const FileDescriptor reader(::open(pipe.c_str(), O_RDONLY | O_NONBLOCK));
  CHECK(replace_file(pipe, "rows") == 0);
  CHECK(std::filesystem::is_fifo(pipe));
  char found[5] = {};
  CHECK(::read(reader.get(), found, sizeof found) == 4);
  CHECK(std::string(found) == "rows");
  std::filesystem::create_symlink("/dev/full", full);
  CHECK(replace_file(full, "rows") == ENOSPC);
  CHECK(replace_file(scratch.path(), "rows") == EISDIR);
}

TEST_CASE("publishing into a directory that is gone gives ENOENT") {
  const ScratchFolder folder;
  fs::create_directory(folder.path() / "gone");
  const FileDescriptor dir = open_directory(folder.path() / "gone");
  fs::remove(folder.path() / "gone");
  CHECK(publish_file(dir.get(), "t", dir.get(), "file", "x") == ENOENT);
  CHECK(read_private_file(dir.get(), "file", 10).status == Status::missing);
}

TEST_CASE("only a plain private file is read, and whatever else is there does not block") {
  const ScratchFolder folder;
  const FileDescriptor dir = open_directory(folder.path());
  const fs::path file = folder.path() / "file";
  const auto read = [&] { return read_private_file(dir.get(), "file", 100); };
  write_file(file, "content");
  REQUIRE(::chmod(file.c_str(), 0600) == 0);
  REQUIRE(read().status == Status::ok);

  SECTION("a missing file") {
    fs::remove(file);
    CHECK(read().status == Status::missing);
    return;
  }
  std::string problem;
  SECTION("a file that others can write") {
    REQUIRE(::chmod(file.c_str(), 0602) == 0);
    problem = "is writable by others or runs as another";
  }
  SECTION("a file that a group can write") {
    REQUIRE(::chmod(file.c_str(), 0620) == 0);
    problem = "is writable by others or runs as another";
  }
  SECTION("a file that runs as another") {
    REQUIRE(::chmod(file.c_str(), 04600) == 0);
    problem = "is writable by others or runs as another";
  }
  SECTION("a file with a second name") {
    fs::create_hard_link(file, folder.path() / "other");
    problem = "has 2 links, not 1";
  }
  SECTION("a symbolic link") {
    fs::rename(file, folder.path() / "target");
    fs::create_symlink("target", file);
    problem = "is a symbolic link";
  }
  SECTION("a FIFO") {
    fs::remove(file);
    REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    problem = "is not a regular file";
  }
  SECTION("a directory") {
    fs::remove(file);
    fs::create_directory(file);
    problem = "is not a regular file";
  }
  SECTION("a file that is too large") {
    fs::resize_file(file, 101);
    problem = "has 101 bytes, at most 100 are allowed";
  }
  const FileContent content = read();
  CHECK(content.status == Status::refused);
  CHECK(content.problem == problem);
  CHECK(content.bytes.empty());
}

TEST_CASE("a socket in place of a file fails to open") {
  const ScratchFolder folder;
  const FileDescriptor dir = open_directory(folder.path());
  const FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{.sun_family = AF_UNIX};
  (folder.path() / "file").string().copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  const FileContent content = read_private_file(dir.get(), "file", 100);
  CHECK(content.status == Status::failed);
  CHECK(content.problem == "No such device or address");
}

TEST_CASE("another user's file is refused") {
  if (::geteuid() != 0) SKIP_TEST("giving a file away needs root");
  const ScratchFolder folder;
  const FileDescriptor dir = open_directory(folder.path());
  write_file(folder.path() / "file", "x");
  REQUIRE(::chown((folder.path() / "file").c_str(), 1234, 1234) == 0);
  const FileContent content = read_private_file(dir.get(), "file", 100);
  CHECK(content.status == Status::refused);
  CHECK(content.problem == "belongs to uid 1234, uid 0 is needed");
}

TEST_CASE("a directory is created with its parents, for its owner alone") {
  const ScratchFolder folder;
  const fs::path path = folder.path() / "a/b";
  CHECK(problem_of_opening(path) == (folder.path() / "a").string() + ": No such file or directory");
  CHECK(open_private_directory(path, false).error == ENOENT);
  const mode_t old = ::umask(0);
  CHECK(open_private_directory(path, true).fd);
  ::umask(old);
  CHECK((fs::status(path).permissions() & fs::perms::mask) == fs::perms::owner_all);
  CHECK(problem_of_opening(path) == "none");
}

TEST_CASE("a directory that somebody else could change is refused by name") {
  const ScratchFolder folder;
  const fs::path parent = folder.path() / "parent";
  const fs::path path = parent / "cache";
  fs::create_directories(path);
  REQUIRE(::chmod(parent.c_str(), 0755) == 0);
  REQUIRE(::chmod(path.c_str(), 0700) == 0);
  REQUIRE(problem_of_opening(path) == "none");

  SECTION("it is world-writable") {
    REQUIRE(::chmod(path.c_str(), 0777) == 0);
    CHECK(problem_of_opening(path) == path_problem(path, "is writable by others (mode 0777)"));
  }
  SECTION("it is group-writable") {
    REQUIRE(::chmod(path.c_str(), 0770) == 0);
    CHECK(problem_of_opening(path) == path_problem(path, "is writable by others (mode 0770)"));
  }
  SECTION("it is world-writable and sticky, which protects only what is in it") {
    REQUIRE(::chmod(path.c_str(), 01777) == 0);
    CHECK(problem_of_opening(path) ==
          path_problem(path, "is writable by others (mode 1777, 0700 is needed)"));
  }
  SECTION("its parent is world-writable") {
    REQUIRE(::chmod(parent.c_str(), 0777) == 0);
    CHECK(problem_of_opening(path) == path_problem(parent, "is writable by others (mode 0777)"));
  }
  SECTION("its parent is world-writable and sticky, as /tmp is") {
    REQUIRE(::chmod(parent.c_str(), 01777) == 0);
    CHECK(problem_of_opening(path) == "none");
  }
  SECTION("it is a file") {
    fs::remove(path);
    write_file(path, "");
    CHECK(problem_of_opening(path) == path_problem(path, "is not a directory"));
  }
  CHECK(open_private_directory(path, false).error ==
        (problem_of_opening(path) == "none" ? 0 : EPERM));
}

TEST_CASE("another user's directory is refused, anywhere on the way") {
  if (::geteuid() != 0) SKIP_TEST("giving a directory away needs root");
  const ScratchFolder folder;
  const fs::path parent = folder.path() / "parent";
  const fs::path path = parent / "cache";
  fs::create_directories(path);
  REQUIRE(::chown(path.c_str(), 1234, 1234) == 0);
  const std::string problem = "belongs to uid 1234, not to root or uid 0";
  CHECK(problem_of_opening(path) == path_problem(path, problem));
  REQUIRE(::chown(path.c_str(), 0, 0) == 0);
  REQUIRE(::chown(parent.c_str(), 1234, 1234) == 0);
  CHECK(problem_of_opening(path) == path_problem(parent, problem));
}

TEST_CASE("links are followed as long as every step can be trusted") {
  const ScratchFolder folder;
  const fs::path& root = folder.path();
  fs::create_directories(root / "real/cache");
  const auto link = [&](const fs::path& target) {
    fs::remove(root / "link");
    fs::create_symlink(target, root / "link");
  };
  link("real");
  CHECK(problem_of_opening(root / "link/cache") == "none");
  link(root / "real/../real/./cache");
  CHECK(problem_of_opening(root / "link") == "none");
  link("link");
  CHECK(problem_of_opening(root / "link") ==
        (root / "link").string() + ": Too many levels of symbolic links");
  REQUIRE(::chmod((root / "real").c_str(), 0777) == 0);
  link("real/cache");
  CHECK(problem_of_opening(root / "link") ==
        path_problem(root / "real", "is writable by others (mode 0777)"));
}

TEST_CASE("another user's link is refused") {
  if (::geteuid() != 0) SKIP_TEST("giving a link away needs root");
  const ScratchFolder folder;
  fs::create_directory(folder.path() / "real");
  fs::create_symlink("real", folder.path() / "link");
  REQUIRE(::lchown((folder.path() / "link").c_str(), 1234, 1234) == 0);
  CHECK(problem_of_opening(folder.path() / "link") ==
        path_problem(folder.path() / "link", "belongs to uid 1234, not to root or uid 0"));
}

TEST_CASE("a directory below an open one may not be a link") {
  const ScratchFolder folder;
  const FileDescriptor dir = open_directory(folder.path());
  CHECK(open_private_directory(dir.get(), "real", true).fd);
  fs::create_symlink("real", folder.path() / "link");
  const OpenedDirectory opened = open_private_directory(dir.get(), "link", true);
  CHECK_FALSE(opened.fd);
  CHECK(opened.problem == "link: Not a directory");
  REQUIRE(::chmod((folder.path() / "real").c_str(), 0770) == 0);
  CHECK(open_private_directory(dir.get(), "real", false).problem ==
        "real is writable by others (mode 0770, 0700 is needed)");
}
