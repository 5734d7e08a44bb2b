// Names near a misspelt one, by edit distance.
#include "support/did_you_mean.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/ADT/StringExtras.h>
#include <llvm/ADT/StringRef.h>

namespace streamattn {

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known) {
  const llvm::StringRef given(word.data(), word.size());
  // A third of the letters may be wrong and one more: "maks" is mask, "foo" is nothing.
  unsigned best_distance = given.size() / 3 + 2;
  std::string_view best;
  for (std::string_view candidate : known) {
    const llvm::StringRef name(candidate.data(), candidate.size());
    const unsigned distance = given.edit_distance(name, true, best_distance);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  if (!best.empty()) return "did you mean \"" + std::string(best) + "\"?";
  return "known: " +
         llvm::join(llvm::map_range(known, [](auto n) { return std::string(n); }), ", ");
}

}  // namespace streamattn
