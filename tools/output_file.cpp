// Writes files whole.
#include "tools/output_file.h"

#include <llvm/Support/raw_ostream.h>

#include <filesystem>
#include <map>

#include "streamattn/error.h"

namespace streamattn {

void write_file(const std::string& path, llvm::StringRef content) {
  std::error_code failure;
  llvm::raw_fd_ostream file(path, failure);
  if (!failure) {
    file << content;
    file.close();
    failure = file.error();
    file.clear_error();
  }
  if (failure) {
    throw Error(ErrorCode::invalid_config, "cannot write " + path + ": " + failure.message());
  }
}

void require_own_files(llvm::ArrayRef<NamedFile> files) {
  std::map<std::filesystem::path, const NamedFile*> known;
  for (const NamedFile& file : files) {
    std::error_code unknown;
    const auto kind = std::filesystem::status(file.path, unknown).type();
    using Kind = std::filesystem::file_type;
    if (kind == Kind::character || kind == Kind::fifo || kind == Kind::socket) continue;
    const auto [other, is_new] =
        known.emplace(std::filesystem::weakly_canonical(file.path, unknown), &file);
    if (!is_new && (file.is_written || other->second->is_written))
      throw Error(ErrorCode::invalid_config, other->second->name + " and " + file.name +
                                                 " are one file, " + file.path +
                                                 ": what is written needs one of its own");
  }
}

}  // namespace streamattn
