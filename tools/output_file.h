// Files that commands write.
#pragma once

#include <llvm/ADT/StringRef.h>

#include <string>

namespace streamattn {

/// Throws Error (invalid_config) where the file cannot be written.
void write_file(const std::string& path, llvm::StringRef content);

}  // namespace streamattn
