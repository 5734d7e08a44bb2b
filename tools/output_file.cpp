// Writes files whole.
#include "tools/output_file.h"

#include <llvm/Support/raw_ostream.h>

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

}  // namespace streamattn
