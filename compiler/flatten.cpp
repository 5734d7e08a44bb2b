// A preprocessor for exactly one directive.
#include "compiler/flatten.h"

#include <llvm/ADT/StringRef.h>
#include <llvm/ADT/StringSet.h>
#include <llvm/Support/FormatVariadic.h>

#include <fstream>
#include <iterator>

#include "compiler/embedded.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

class Flattener {
 public:
  explicit Flattener(const std::optional<std::filesystem::path>& folder) : folder_(folder) {}

  std::string run(llvm::StringRef text) {
    add(text, "streamattn.cu");
    return std::move(out_);
  }

 private:
  void add(llvm::StringRef text, llvm::StringRef file) {
    out_ += llvm::formatv("#line 1 \"{0}\"\n", file);
    for (int number = 1; !text.empty(); number++) {
      auto [line, rest] = text.split('\n');
      text = rest;
      llvm::StringRef name = line;
      if (name.consume_front("#include \"")) {
        name = name.split('"').first;
        if (seen_.insert(name).second) add(read(name, file), name);
        out_ += llvm::formatv("#line {0} \"{1}\"\n", number + 1, file);
      } else if (line == "#pragma once") {
        out_ += "\n";
      } else {
        out_ += line;
        out_ += "\n";
      }
    }
  }

  std::string read(llvm::StringRef name, llvm::StringRef from) const {
    if (folder_) {
      std::ifstream in(*folder_ / name.str());
      if (in) return {std::istreambuf_iterator<char>(in), {}};
    } else {
      for (const EmbeddedFile& file : embedded_templates())
        if (llvm::StringRef(file.name) == name) return std::string(file.text);
    }
    throw Error(ErrorCode::invalid_config,
                llvm::formatv("template \"{0}\", included by \"{1}\", is not in {2}", name, from,
                              folder_ ? folder_->string() : "the library"));
  }

  const std::optional<std::filesystem::path>& folder_;
  llvm::StringSet<> seen_;
  std::string out_;
};

}  // namespace

std::string flatten(std::string_view text, const std::optional<std::filesystem::path>& folder) {
  return Flattener(folder).run(text);
}

}  // namespace streamattn
