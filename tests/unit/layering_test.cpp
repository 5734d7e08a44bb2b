// The order of the modules and the house rules that a look at the text can check, on the source
// tree.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/catch.h"

namespace {

namespace fs = std::filesystem;

const fs::path source_dir = STREAMATTN_SOURCE_DIR;

struct SourceFile {
  std::string name;  // below the source tree, such as "compiler/emit.cpp"
  std::vector<std::string> lines;
};

std::vector<SourceFile> files_below(const std::vector<std::string>& folders) {
  static const std::vector<std::string> extensions = {".h", ".cpp", ".c", ".cuh", ".cu"};
  std::vector<SourceFile> files;
  for (const std::string& folder : folders) {
    if (!fs::exists(source_dir / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(source_dir / folder)) {
      if (std::ranges::count(extensions, entry.path().extension().string()) == 0) continue;
      SourceFile file{fs::relative(entry.path(), source_dir).string(), {}};
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) file.lines.push_back(line);
      files.push_back(std::move(file));
    }
  }
  REQUIRE(!files.empty());
  return files;
}

std::vector<SourceFile> product_files() {
  return files_below({"include", "support", "compiler", "templates", "runtime", "measure",
                      "autotune", "emulator", "tools", "bench", "examples"});
}

using LineTest = std::function<bool(const SourceFile&, std::string_view line)>;

// "file: line" of every line that `is_wrong`.
std::vector<std::string> lines_where(const std::vector<SourceFile>& files,
                                     const LineTest& is_wrong) {
  std::vector<std::string> found;
  for (const SourceFile& file : files) {
    for (const std::string& line : file.lines) {
      if (is_wrong(file, line)) found.push_back(file.name + ": " + line);
    }
  }
  return found;
}

// What an #include line names after `open`, a quote or an angle bracket; empty for another line.
std::string_view included(std::string_view line, char open) {
  const auto begin = line.find(open);
  if (!line.starts_with("#include") || begin == std::string_view::npos) return "";
  return line.substr(begin + 1, line.find(open == '<' ? '>' : '"', begin + 1) - begin - 1);
}

// The lines below `folder` that include, in quotes, something else than `allowed` prefixes.
std::vector<std::string> foreign_includes(const std::string& folder,
                                          const std::vector<std::string>& allowed) {
  return lines_where(files_below({folder}), [&](const SourceFile&, std::string_view line) {
    const std::string_view name = included(line, '"');
    return !name.empty() && std::ranges::none_of(allowed, [&](const std::string& prefix) {
      return name.starts_with(prefix);
    });
  });
}

bool contains_code(std::string_view line, std::string_view text) {
  return line.substr(0, line.find("//")).find(text) != std::string_view::npos;
}

const std::vector<std::string> none = {};

}  // namespace

TEST_CASE("support includes no other module") {
  CHECK(foreign_includes("support", {"support/", "streamattn/error.h", "streamattn/dtype.h",
                                     "streamattn/log.h"}) == none);
}

TEST_CASE("the compiler includes only support and the shared launch parameters") {
  CHECK(foreign_includes("compiler", {"compiler/", "support/", "streamattn/", "templates/"}) ==
        none);
  const std::regex shared("templates/\\w+/\\w+_params\\.h");
  CHECK(lines_where(files_below({"compiler"}), [&](const SourceFile& file, std::string_view line) {
          const std::string name(included(line, '"'));
          if (!name.starts_with("templates/") || name == "templates/params.h") return false;
          return !std::regex_match(name, shared) || !file.name.starts_with("compiler/families/");
        }) == none);
}

TEST_CASE("the runtime includes only what is below it") {
  CHECK(foreign_includes("runtime", {"runtime/", "compiler/", "support/", "streamattn/",
                                     "templates/params.h"}) == none);
}

TEST_CASE("measure includes only what is below it") {
  CHECK(foreign_includes("measure",
                         {"measure/", "runtime/", "compiler/", "support/", "streamattn/"}) == none);
}

TEST_CASE("the tuner includes only what is below it, and the commit that was built") {
  CHECK(foreign_includes("autotune", {"autotune/", "measure/", "runtime/", "compiler/", "support/",
                                      "streamattn/", "commit.h"}) == none);
}

TEST_CASE("tools include neither tests nor device templates") {
  CHECK(foreign_includes("tools", {"tools/", "emulator/", "autotune/", "measure/", "runtime/",
                                   "compiler/", "support/", "streamattn/"}) == none);
}

TEST_CASE("the emulator includes what is below it, and its device side templates alone") {
  CHECK(foreign_includes("emulator", {"emulator/", "runtime/", "compiler/", "support/",
                                      "streamattn/", "templates/params.h", "ptx/", "params.h"}) ==
        none);
}

TEST_CASE("benchmarks include what is below them") {
  CHECK(foreign_includes("bench", {"bench/", "measure/", "runtime/", "compiler/", "support/",
                                   "streamattn/"}) == none);
}

TEST_CASE("nothing above the compiler knows a family") {
  const auto above =
      files_below({"runtime", "measure", "autotune", "emulator", "tools", "bench", "examples"});
  CHECK(lines_where(above, [](const SourceFile&, std::string_view line) {
          return included(line, '"').starts_with("compiler/families/");
        }) == none);
}

TEST_CASE("examples include public headers alone") {
  CHECK(foreign_includes("examples", {"streamattn/"}) == none);
}

TEST_CASE("device templates include device templates alone, by their path in templates") {
  CHECK(lines_where(files_below({"templates"}), [](const SourceFile&, std::string_view line) {
          const std::string_view name = included(line, '"');
          return !included(line, '<').empty() ||
                 (!name.empty() && !fs::exists(source_dir / "templates" / name));
        }) == none);
}

TEST_CASE("public headers include the standard library and public headers alone") {
  CHECK(foreign_includes("include", {"streamattn/"}) == none);
  CHECK(lines_where(files_below({"include"}), [](const SourceFile& file, std::string_view line) {
          const bool is_c = file.name.ends_with("c_api.h");
          return included(line, '<').find_first_of(is_c ? "/" : "/.") != std::string_view::npos;
        }) == none);
}

TEST_CASE("asm stands in templates/ptx alone") {
  CHECK(lines_where(product_files(), [](const SourceFile& file, std::string_view line) {
          return !file.name.starts_with("templates/ptx/") &&
                 (contains_code(line, "asm(") || contains_code(line, "asm volatile"));
        }) == none);
}

// Examples stand for programs of users, who have a driver of their own.
TEST_CASE(
    "NVRTC is opened by compiler/toolchain/nvrtc alone, the driver by runtime/gpu/driver alone") {
  CHECK(lines_where(product_files(), [](const SourceFile& file, std::string_view line) {
          return (contains_code(line, "\"libnvrtc.so") &&
                  !file.name.starts_with("compiler/toolchain/nvrtc")) ||
                 (contains_code(line, "\"libcuda.so") &&
                  !file.name.starts_with("runtime/gpu/driver") &&
                  !file.name.starts_with("examples/"));
        }) == none);
}

TEST_CASE("LLVM's command line, which keeps its options in globals, is used by tools alone") {
  CHECK(lines_where(product_files(), [](const SourceFile& file, std::string_view line) {
          return included(line, '<') == "llvm/Support/CommandLine.h" &&
                 !file.name.starts_with("tools/");
        }) == none);
}

TEST_CASE("no two headers of a program give one name to a type") {
  std::map<std::string, std::string> headers;  // by the type's name
  const std::regex type("^(?:struct|class|enum class) (?:STREAMATTN_API )?(\\w+)(?: [^;]*)?$");
  for (const SourceFile& file : files_below({"include", "support", "compiler", "runtime", "measure",
                                             "autotune", "tools", "tests/support"})) {
    if (!file.name.ends_with(".h")) continue;
    for (const std::string& line : file.lines) {
      std::smatch match;
      if (!std::regex_match(line, match, type)) continue;
      const auto [other, inserted] = headers.emplace(match[1], file.name);
      INFO(line << " in " << file.name << " and " << other->second);
      CHECK(inserted);
    }
  }
  CHECK(headers.size() > 50);
}

TEST_CASE("every file opens with a comment that says what it is for") {
  auto files = product_files();
  std::ranges::move(files_below({"tests"}), std::back_inserter(files));
  for (const SourceFile& file : files) {
    INFO(file.name);
    REQUIRE(!file.lines.empty());
    CHECK((file.lines[0].starts_with("// ") || file.lines[0].starts_with("/* ")));
  }
}
