// What a device answered, kept line by line in a file, so that tuning can go on where it was ended.
#pragma once

#include <llvm/Support/JSON.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "support/files.h"

namespace streamattn {

/// A file of JSON objects, a line each, that only grows. A line is one write: after a kill at any
/// moment the file holds every line but the one that was being written. Each has a "sum" of its
/// own, so that a line that was damaged, or changed by hand, is noticed.
class Journal {
 public:
  enum class Open { new_file, resume, read_only };

  /// Opens `path`. To resume, or to read, it reads what is there, cuts off a torn last line, and
  /// asks that the first line equals `head` but for the commit; a file that is not there is begun.
  /// A new file must not be there, and no other process may be writing one that is, so that
  /// nobody's measurements are lost. Throws Error (invalid_config).
  Journal(const std::filesystem::path& path, Open how, const llvm::json::Object& head);

  /// The lines that were there, without the head.
  const std::vector<llvm::json::Object>& lines() const { return lines_; }

  /// Throws Error (invalid_config) where the disk takes no more.
  void append(const llvm::json::Object& line);

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
  std::vector<llvm::json::Object> lines_;
};

/// The lines of a file of JSON objects, one at least, without a torn last one. Throws Error
/// (invalid_config) with file and line for one that is something else.
std::vector<llvm::json::Object> read_json_lines(const std::filesystem::path& path);

/// Takes the sums off the lines of a journal, the file `origin`. Throws Error (invalid_config) with
/// file and line for one that is not what was written.
void take_sums(std::vector<llvm::json::Object>& lines, const std::string& origin);

}  // namespace streamattn
