// Files that commands write.
#pragma once

#include <llvm/ADT/ArrayRef.h>
#include <llvm/ADT/StringRef.h>

#include <string>

namespace streamattn {

/// Throws Error (invalid_config) where the file cannot be written.
void write_file(const std::string& path, llvm::StringRef content);

/// A file that a command works on, and what names it: a flag, or "the job".
struct NamedFile {
  std::string name, path;
  bool is_written = false;
};

/// Throws Error (invalid_config) where a file that is written is another one of these, too. Devices
/// and pipes may be.
void require_own_files(llvm::ArrayRef<NamedFile> files);

}  // namespace streamattn
