// Folders, variables and log lines of one test.
#include "tests/support/scratch.h"

#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "support/log.h"

namespace streamattn {

ScratchFolder::ScratchFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "streamattn-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

ScopedVariable::ScopedVariable(const char* name, const std::optional<std::string>& value)
    : name_(name) {
  if (const char* old = std::getenv(name)) old_ = old;
  value ? ::setenv(name, value->c_str(), 1) : ::unsetenv(name);
}

ScopedVariable::~ScopedVariable() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }

LogRecorder::LogRecorder() {
  set_log_callback(
      [this](LogLevel, std::string_view, std::string_view line) { lines.emplace_back(line); });
}

LogRecorder::~LogRecorder() { set_log_callback({}); }

bool LogRecorder::has(const std::string& part) const {
  return std::ranges::any_of(
      lines, [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_file(const std::filesystem::path& path, const std::string& bytes) {
  // A new file: rewriting one in place makes some file systems wait for the disk.
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace streamattn
