// A preprocessor for exactly one directive.
#include "compiler/toolchain/flatten.h"

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
  Flattener(const std::optional<std::filesystem::path>& folder,
            std::span<const EmbeddedFile> instead)
      : folder_(folder), instead_(instead) {}

  std::string run(llvm::StringRef text) {
    out_.reserve(std::size_t{1} << 18);  // about twice what the largest kernels take
    add(text, "streamattn.cu");
    return std::move(out_);
  }

 private:
  void add(llvm::StringRef text, llvm::StringRef file) {
    add_place(1, file);
    std::size_t number = 1;  // of the first line in `text`
    while (!text.empty()) {
      const llvm::StringRef plain = text.take_front(next_directive(text));
      out_ += plain;
      if (plain.size() == text.size()) break;
      auto [line, rest] = text.drop_front(plain.size()).split('\n');
      text = rest;
      number += plain.count('\n') + 1;
      if (line.consume_front("#include \"")) {
        const llvm::StringRef name = line.split('"').first;
        if (seen_.insert(name).second) add_template(name, file);
        add_place(number, file);
      } else {
        out_ += '\n';
      }
    }
    if (out_.back() != '\n') out_ += '\n';
  }

  // Where the next line is that is not copied; the end of `text` where there is none. A kernel has
  // thousands of lines, few of which begin so.
  static std::size_t next_directive(llvm::StringRef text) {
    for (std::size_t at = text.find('#'); at != text.npos; at = text.find('#', at + 1)) {
      const llvm::StringRef line = text.drop_front(at).split('\n').first;
      const bool is_directive = line.starts_with("#include \"") || line == "#pragma once";
      if (is_directive && (at == 0 || text[at - 1] == '\n')) return at;
    }
    return text.size();
  }

  // Every emit comes by here some 40 times: no formatv.
  void add_place(std::size_t number, llvm::StringRef file) {
    out_ += "#line ";
    out_ += std::to_string(number);
    out_ += " \"";
    out_ += file;
    out_ += "\"\n";
  }

  void add_template(llvm::StringRef name, llvm::StringRef from) {
    if (const EmbeddedFile* file = find(instead_, name)) return add(file->text, name);
    if (folder_) {
      std::ifstream in(*folder_ / name.str());
      if (in) return add(std::string(std::istreambuf_iterator<char>(in), {}), name);
    } else if (const EmbeddedFile* file = find(embedded_templates(), name)) {
      return add(file->text, name);
    }
    throw Error(ErrorCode::invalid_config,
                llvm::formatv("template \"{0}\", included by \"{1}\", is not in {2}", name, from,
                              folder_ ? folder_->string() : "the library"));
  }

  static const EmbeddedFile* find(std::span<const EmbeddedFile> files, llvm::StringRef name) {
    for (const EmbeddedFile& file : files)
      if (llvm::StringRef(file.name) == name) return &file;
    return nullptr;
  }

  const std::optional<std::filesystem::path>& folder_;
  std::span<const EmbeddedFile> instead_;
  llvm::StringSet<> seen_;
  std::string out_;
};

}  // namespace

std::string flatten(std::string_view text, const std::optional<std::filesystem::path>& folder,
                    std::span<const EmbeddedFile> instead) {
  return Flattener(folder, instead).run(text);
}

}  // namespace streamattn
