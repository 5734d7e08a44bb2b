// Escapes control characters.
#include "support/spelled_out.h"

#include <llvm/ADT/StringExtras.h>
#include <llvm/ADT/StringRef.h>

namespace streamattn {

std::string spelled_out(std::string_view text) {
  std::string printed;
  for (const char c : text) {
    if (c == '\n' || !llvm::isASCII(c) || llvm::isPrint(c)) {
      printed += c;
    } else {
      printed += "\\x" + llvm::toHex(llvm::StringRef(&c, 1), /*LowerCase=*/true);
    }
  }
  return printed;
}

}  // namespace streamattn
