// Rows that the build compiled in are those that the reader finds in the files.
#include "compiler/shipped/compiled_rows.h"

#include <algorithm>
#include <filesystem>

#include "tests/support/catch.h"
#include "tests/support/scratch.h"

namespace streamattn {

/// The rows of tests/unit/shipped: see CMakeLists.txt.
std::span<const CompiledRow> compiled_test_rows();

namespace {

namespace fs = std::filesystem;

const fs::path source = STREAMATTN_SOURCE_DIR;

/// The rows of the files of a folder, in the order of their names.
std::vector<ScheduleRow> read_folder(const fs::path& folder) {
  std::vector<fs::path> files(fs::directory_iterator(folder), {});
  std::ranges::sort(files);
  std::vector<ScheduleRow> rows;
  for (const fs::path& file : files) {
    const std::string origin = folder.filename() / file.filename();
    for (ScheduleRow& row : read_schedule_rows(read_file(file), origin))
      rows.push_back(std::move(row));
  }
  return rows;
}

bool is_same(const RowCondition& a, const RowCondition& b) {
  if (a.key != b.key || a.wanted.index() != b.wanted.index()) return false;
  const auto equals = [&](const auto& wanted) {
    const auto& other = std::get<std::decay_t<decltype(wanted)>>(b.wanted);
    if constexpr (std::is_same_v<decltype(wanted), const Expr&>)
      return wanted.same_as(other);
    else
      return wanted == other;
  };
  return std::visit(equals, a.wanted);
}

void check_same(std::span<const CompiledRow> compiled, const std::vector<ScheduleRow>& read) {
  const auto shipped = shipped_rows(compiled);
  REQUIRE(shipped.size() == read.size());
  for (std::size_t i = 0; i < read.size(); i++) {
    const ScheduleRow& row = *shipped[i];
    INFO(read[i].origin);
    CHECK(row.is_shipped);
    CHECK(row.origin == read[i].origin);
    CHECK(row.target == read[i].target);
    CHECK(row.device == read[i].device);
    CHECK(row.operation == read[i].operation);
    CHECK(row.schedule == read[i].schedule);
    CHECK(std::ranges::equal(row.conditions, read[i].conditions, is_same));
  }
}

TEST_CASE("the shipped rows are those of the files in configs") {
  check_same(compiled_rows(), read_folder(source / "configs"));
  CHECK(ScheduleTable::shipped().size() == compiled_rows().size());
}

TEST_CASE("every kind of condition and knob is compiled in as the reader reads it") {
  check_same(compiled_test_rows(), read_folder(source / "tests/unit/shipped"));
}

}  // namespace
}  // namespace streamattn
