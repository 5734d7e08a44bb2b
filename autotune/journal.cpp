// Reads and appends lines of JSON.
#include "autotune/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <llvm/Support/FormatVariadic.h>

#include "streamattn/error.h"
#include "support/hash.h"
#include "support/spelled_out.h"

namespace streamattn {
namespace {

constexpr std::size_t most_bytes = std::size_t{1} << 30;

constexpr const char* sum_key = "sum";

std::string text_of(llvm::json::Object object) {
  return llvm::formatv("{0}", llvm::json::Value(std::move(object)));
}

/// What tells that a line is as it was written; of the line without it.
std::string sum_of(const llvm::json::Object& line) {
  return base32(digest(text_of(line))).substr(0, 12);
}

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& complaint) {
  throw Error(ErrorCode::invalid_config, "journal " + path.native() + " " + spelled_out(complaint));
}

[[noreturn]] void fail_at(const std::string& origin, std::size_t line, const char* complaint) {
  throw Error(ErrorCode::invalid_config, llvm::formatv("{0}:{1}: {2}", origin, line, complaint));
}

std::string read_whole(const std::filesystem::path& path) {
  FileContent content = read_regular_file(path, most_bytes);
  if (content.status != FileContent::Status::ok) fail(path, "cannot be read: " + content.problem);
  return std::move(content.bytes);
}

/// The fields in which two heads differ, commits aside: equal sources are measured alike: "device
/// \"NVIDIA H200\" -> \"NVIDIA H100\"".
std::string difference(const llvm::json::Object& found, const llvm::json::Object& wanted) {
  std::string text;
  for (const auto& [key, value] : wanted) {
    const llvm::json::Value* other = found.get(key);
    if (key == "commit" || (other && *other == value)) continue;
    text += text.empty() ? "" : ", ";
    text += llvm::formatv("{0} was {1} and is {2}", key,
                          other ? *other : llvm::json::Value(nullptr), value);
  }
  return text;
}

/// The objects in the lines of `text`, without a torn last one.
std::vector<llvm::json::Object> lines_of_json(const std::string& text, const std::string& origin) {
  std::vector<llvm::json::Object> lines;
  llvm::StringRef rest = text;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end == llvm::StringRef::npos) break;  // torn
    auto value = llvm::json::parse(rest.take_front(end));
    rest = rest.drop_front(end + 1);
    if (!value || !value->getAsObject()) {
      llvm::consumeError(value.takeError());
      fail_at(origin, lines.size() + 1, "the line is no JSON object");
    }
    lines.push_back(std::move(*value->getAsObject()));
  }
  return lines;
}

}  // namespace

std::vector<llvm::json::Object> read_json_lines(const std::filesystem::path& path) {
  auto lines = lines_of_json(read_whole(path), path.native());
  if (lines.empty()) fail(path, "is empty");
  return lines;
}

void take_sums(std::vector<llvm::json::Object>& lines, const std::string& origin) {
  for (std::size_t i = 0; i < lines.size(); i++) {
    const auto sum = lines[i].getString(sum_key);
    if (!sum)
      fail_at(origin, i + 1, "the line has no \"sum\": it is damaged, or of an earlier version");
    llvm::json::Object line;
    for (const auto& [key, value] : lines[i])
      if (key.str() != sum_key) line[key] = value;
    if (*sum != sum_of(line))
      fail_at(origin, i + 1, "the line is damaged: its \"sum\" is that of another");
    lines[i] = std::move(line);
  }
}

Journal::Journal(const std::filesystem::path& path, Open how, const llvm::json::Object& head)
    : path_(path) {
  int flags = O_CLOEXEC | O_RDONLY;
  if (how != Open::read_only) flags = O_CLOEXEC | O_RDWR | O_CREAT | O_APPEND;
  if (how == Open::new_file) flags |= O_EXCL;
  file_ = FileDescriptor(::open(path.c_str(), flags, 0644));
  if (!file_) {
    const int error = errno;
    if (error == EEXIST)
      fail(path, "is there already: --resume goes on with it; to measure anew, remove it");
    fail(path, "cannot be opened: " + std::string(std::strerror(error)));
  }
  // Freed by the system when this process ends, however it does.
  if (how != Open::read_only && ::flock(file_.get(), LOCK_EX | LOCK_NB) != 0 &&
      errno == EWOULDBLOCK)
    fail(path, "is written by another tuning at this moment");
  if (how != Open::new_file) {
    const std::string text = read_whole(path);
    const std::size_t whole = text.rfind('\n') + 1;  // 0 where there is no line
    lines_ = lines_of_json(text, path.native());
    take_sums(lines_, path.native());
    if (how == Open::resume && whole < text.size() &&
        ::ftruncate(file_.get(), static_cast<off_t>(whole)) != 0)
      fail(path, "has a torn line that cannot be cut off: " + std::string(std::strerror(errno)));
  }
  if (lines_.empty()) {
    append(head);
    return;
  }
  if (const std::string differs = difference(lines_.front(), head); !differs.empty())
    fail(path, "belongs to another tuning: " + differs);
  lines_.erase(lines_.begin());
}

void Journal::append(const llvm::json::Object& line) {
  llvm::json::Object summed = line;
  summed[sum_key] = sum_of(line);
  const std::string text = text_of(std::move(summed)) + "\n";
  const ssize_t written = ::write(file_.get(), text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size()))
    fail(path_, "cannot be written: " +
                    std::string(written < 0 ? std::strerror(errno) : "the disk is full"));
}

}  // namespace streamattn
