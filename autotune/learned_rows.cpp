// Reads rows, and adds to them under a lock.
#include "autotune/learned_rows.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <cstring>

#include "compiler/toml.h"
#include "runtime/cache/locks.h"
#include "streamattn/error.h"
#include "support/environment.h"
#include "support/files.h"
#include "support/log.h"

namespace streamattn {
namespace {

namespace fs = std::filesystem;

void complain(const fs::path& file, const std::string& reason) {
  log_once(LogLevel::warning, LogTopic::tune,
           "schedules that were found are not kept: " + file.native() + ": " + reason);
}

/// Waits until nobody else changes `file`.
FileLock lock(const fs::path& file) {
  FileDescriptor opened(
      ::open((file.native() + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644));
  if (opened) ::flock(opened.get(), LOCK_EX);  // where that fails a row of another may be lost
  return FileLock(std::move(opened));
}

}  // namespace

LearnedRows::LearnedRows(fs::path file) : file_(std::move(file)) {
  std::error_code error;
  if (!file_.empty() && fs::exists(file_, error)) rows_ = ScheduleTable::load(file_);
}

void LearnedRows::add(const TunedRow& row, const TuneSite& site, const Target& target) {
  const std::string text = row_toml(row, site, target);
  if (publish(text, site)) return;
  rows_.append(ScheduleTable::parse(text, "found by this process"));
}

// Whether the file has the row, and this object all rows of the file.
bool LearnedRows::publish(const std::string& row, const TuneSite& site) {
  if (file_.empty()) return false;
  std::error_code ignored;
  fs::create_directories(file_.parent_path(), ignored);
  const FileLock held = lock(file_);
  const FileContent content = read_regular_file(file_, most_toml_bytes);
  if (content.status != FileContent::Status::ok && content.status != FileContent::Status::missing) {
    complain(file_, content.problem);
    return false;
  }
  const std::string all = (content.bytes.empty() ? rows_header(site) : content.bytes) + row;
  try {
    const ScheduleTable rows = ScheduleTable::parse(all, file_.native());
    if (const int error = replace_file(file_, all); error != 0) {
      complain(file_, std::strerror(error));
      return false;
    }
    rows_ = rows;
    return true;
  } catch (const Error& error) {  // somebody has changed the file by hand
    complain(file_, error.what());
    return false;
  }
}

fs::path default_learned_rows() {
  fs::path base = environment("XDG_CONFIG_HOME").value_or("");
  if (!base.is_absolute()) {
    const fs::path home = environment("HOME").value_or("");
    if (!home.is_absolute()) return {};
    base = home / ".config";
  }
  return base / "streamattn" / "tuned.toml";
}

}  // namespace streamattn
