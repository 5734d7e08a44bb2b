// Files built into the library are the files on disk, byte for byte.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "compiler/embedded.h"
#include "tests/support/catch.h"

namespace streamattn {

/// Files of tests/unit/embedded and one that is written at configure time: see CMakeLists.txt.
std::span<const EmbeddedFile> embedded_test_files();

namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

void check_same_as_on_disk(std::span<const EmbeddedFile> files, const fs::path& root) {
  REQUIRE(!files.empty());
  for (const EmbeddedFile& file : files) {
    INFO(file.name);
    CHECK(file.text == text_of(root / file.name));
  }
}

}  // namespace

TEST_CASE(
    "an embedded file keeps semicolons, brackets, quotes, backslashes and a missing newline") {
  check_same_as_on_disk(embedded_test_files(), STREAMATTN_EMBEDDED_TEST_DIR);
}

TEST_CASE("an embedded file may be longer than a compiler lets one literal be") {
  std::size_t longest = 0;
  for (const EmbeddedFile& file : embedded_test_files())
    longest = std::max(longest, file.text.size());
  CHECK(longest > 65536);
}

TEST_CASE("embedded device templates are the files in templates") {
  check_same_as_on_disk(embedded_templates(), fs::path(STREAMATTN_SOURCE_DIR) / "templates");
}

}  // namespace streamattn
