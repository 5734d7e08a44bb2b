// `streamattn cache` as its user sees it.
#include "tools/cache_command.h"

#include <llvm/Support/JSON.h>
#include <sys/stat.h>

#include "runtime/cache/kernel_cache.h"
#include "tests/support/catch.h"
#include "tests/support/fake_kernel.h"
#include "tests/support/scratch.h"

using namespace streamattn;
namespace fs = std::filesystem;

namespace {

struct Printed {
  int code;
  std::string text;
};

Printed run(const std::vector<std::string>& args) {
  std::string text;
  llvm::raw_string_ostream out(text);
  const Exit code = cache_command(args, out);
  return {static_cast<int>(code), out.str()};
}

llvm::json::Value run_json(const std::vector<std::string>& args) {
  const Printed printed = run(args);
  CHECK(printed.code == 0);
  auto value = llvm::json::parse(printed.text);
  if (!value) FAIL(llvm::toString(value.takeError()));
  return std::move(*value);
}

// A cache with some kernels that the commands look at.
struct FilledCache {
  FilledCache() {
    KernelCache cache({.directory = folder.path()});
    for (const FakeKernel& kernel : kernels) {
      cache.find_or_compile(kernel.key, kernel.source, {{"-O3"}, "compiler"},
                            [&] { return kernel.binary; });
    }
  }

  fs::path file(const FakeKernel& kernel) const {
    return folder.path() / "k1/entries" / ("llvmcache-" + kernel.key.text());
  }

  ScratchFolder folder;
  ScopedVariable variable{"STREAMATTN_CACHE_DIR", folder.path().string()};
  std::vector<FakeKernel> kernels{FakeKernel(1), FakeKernel(2), FakeKernel(3)};
};

std::int64_t integer(const llvm::json::Object& object, llvm::StringRef name) {
  const auto value = object.getInteger(name);
  return value ? *value : -1;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("cache path prints the directory alone") {
  const ScopedVariable variable("STREAMATTN_CACHE_DIR", "/somewhere/else");
  CHECK(run({"path"}).text == "/somewhere/else\n");
}

TEST_CASE("cache ls lists every kernel with its problem and resources") {
  const FilledCache cache;
  const Printed printed = run({"ls"});
  CHECK(printed.code == 0);
  for (const FakeKernel& kernel : cache.kernels) {
    CHECK(contains(printed.text, kernel.key.text().substr(0, 12)));
    CHECK(contains(printed.text, std::to_string(kernel.binary.resources.registers)));
  }
  CHECK(contains(printed.text, "number 2"));
}

TEST_CASE("cache ls --json has everything that is stored") {
  const FilledCache cache;
  const llvm::json::Value value = run_json({"ls", "--json"});
  REQUIRE(value.getAsArray()->size() == 3);
  for (const FakeKernel& kernel : cache.kernels) {
    const auto found = llvm::find_if(*value.getAsArray(), [&](const llvm::json::Value& file) {
      return file.getAsObject()->getString("key") == llvm::StringRef(kernel.key.text());
    });
    REQUIRE(found != value.getAsArray()->end());
    const llvm::json::Object& file = *found->getAsObject();
    CHECK(integer(file, "registers") == kernel.binary.resources.registers);
    CHECK(integer(file, "cubin_bytes") == static_cast<int>(kernel.binary.cubin.size()));
    CHECK(file.getNumber("compile_milliseconds") == kernel.binary.compile_milliseconds);
    CHECK(file.getArray("advisories")->size() == kernel.binary.advisories.size());
    CHECK(file.getString("compiler") == llvm::StringRef("compiler"));
    CHECK((*file.getArray("options"))[0].getAsString() == llvm::StringRef("-O3"));
  }
}

TEST_CASE("cache stats adds up sizes and what all processes did") {
  const FilledCache cache;
  const llvm::json::Value value = run_json({"stats", "--json"});
  const llvm::json::Object& stats = *value.getAsObject();
  std::uintmax_t bytes = 0;
  for (const FakeKernel& kernel : cache.kernels) bytes += fs::file_size(cache.file(kernel));
  CHECK(stats.getString("directory") == llvm::StringRef(cache.folder.path().string()));
  CHECK(integer(stats, "entries") == 3);
  CHECK(integer(stats, "bytes") == static_cast<std::int64_t>(bytes));
  CHECK(integer(stats, "quarantined") == 0);
  CHECK(integer(stats, "being_written") == 0);
  CHECK(integer(*stats.getObject("counters"), "published") == 3);
  CHECK(integer(*stats.getObject("counters"), "misses") == 3);
  const std::string text = run({"stats"}).text;
  CHECK(contains(text, "entries               3\n"));
  CHECK(contains(text, "compiles              3\n"));
}

TEST_CASE("cache verify finds damage and takes it out of use when asked") {
  const FilledCache cache;
  CHECK(run({"verify"}).code == 0);
  CHECK(run({"verify"}).text == "3 entries, 0 damaged\n");
  const FakeKernel& victim = cache.kernels[1];
  fs::resize_file(cache.file(victim), 500);
  const std::string found = victim.key.text() + ": does not match its checksum\n";
  CHECK(run({"verify"}).text == found + "3 entries, 1 damaged\n");
  const Printed repaired = run({"verify", "--repair"});
  CHECK(repaired.code == 1);
  CHECK(repaired.text == found + "3 entries, 1 damaged and taken out of use\n");
  CHECK(run({"verify"}).text == "2 entries, 0 damaged\n");
  CHECK(integer(*run_json({"stats", "--json"}).getAsObject(), "quarantined") == 1);
}

TEST_CASE("cache ls shows an unusable file as such") {
  const FilledCache cache;
  REQUIRE(::chmod(cache.file(cache.kernels[0]).c_str(), 0666) == 0);
  CHECK(contains(run({"ls"}).text, "unusable: is writable by others"));
}

TEST_CASE("cache clear removes every entry, and what a killed clear left") {
  const FilledCache cache;
  fs::create_directories(cache.folder.path() / "k1.cleared-before/entries");
  CHECK(run({"clear"}).text == "removed 3 entries\n");
  CHECK(run({"clear"}).text == "removed 0 entries\n");
  CHECK_FALSE(fs::exists(cache.folder.path() / "k1"));
  CHECK_FALSE(fs::exists(cache.folder.path() / "k1.cleared-before"));
  CHECK(run({"ls", "--json"}).text == "[]\n");
}

TEST_CASE("a cache that does not exist yet is empty") {
  const ScratchFolder folder;
  const ScopedVariable variable("STREAMATTN_CACHE_DIR", (folder.path() / "none").string());
  CHECK(run_json({"ls", "--json"}).getAsArray()->empty());
  CHECK(integer(*run_json({"stats", "--json"}).getAsObject(), "entries") == 0);
  CHECK(run({"verify"}).text == "0 entries\n");
  CHECK(run({"clear"}).text == "removed 0 entries\n");
  CHECK_FALSE(fs::exists(folder.path() / "none"));
}

TEST_CASE("cache commands refuse an unsafe directory by name") {
  const FilledCache cache;
  const std::string path = cache.folder.path().string();
  REQUIRE(::chmod(path.c_str(), 0777) == 0);
  for (const char* action : {"ls", "stats", "verify", "clear"}) {
    CHECK(error_of([&] { run({action}); }) ==
          "cache_refused: " + path + " is writable by others (mode 0777)");
  }
}

TEST_CASE("cache commands say that there is no directory") {
  const ScopedVariable no_directory("STREAMATTN_CACHE_DIR", std::nullopt);
  const ScopedVariable no_xdg("XDG_CACHE_HOME", std::nullopt);
  const ScopedVariable no_home("HOME", std::nullopt);
  CHECK(error_of([] { run({"path"}); }) ==
        "cache_io: there is no cache directory: none of STREAMATTN_CACHE_DIR, XDG_CACHE_HOME and "
        "HOME names one");
}

TEST_CASE("wrong cache arguments are refused") {
  CHECK(error_of([] { run({}); }) ==
        "invalid_config: cache needs an action: ls, stats, verify, clear, path");
  CHECK(error_of([] { run({"list"}); }) ==
        "invalid_config: unknown cache action \"list\", did you mean \"ls\"?");
  CHECK(contains(error_of([] { run({"ls", "--repair"}); }), "invalid_config: "));
}

TEST_CASE("cache --help names every action") {
  const std::string text = run({"--help"}).text;
  for (const char* action : {"ls", "stats", "verify", "clear", "path"}) {
    CHECK(contains(text, action));
    CHECK(contains(run({action, "--help"}).text, std::string("cache ") + action));
  }
}
