// Names of layouts of sequences.
#include "streamattn/sequences.h"

#include <string>

#include "streamattn/error.h"

namespace streamattn {
namespace {

// In the order of the enumerators, which index it.
constexpr std::string_view names[] = {"dense", "packed", "paged"};

}  // namespace

std::string_view name(SequenceLayout layout) { return names[static_cast<int>(layout)]; }

SequenceLayout parse_sequence_layout(std::string_view text) {
  std::string known;
  for (int i = 0; i < static_cast<int>(std::size(names)); i++) {
    if (names[i] == text) return static_cast<SequenceLayout>(i);
    known += (known.empty() ? "" : ", ") + std::string(names[i]);
  }
  throw Error(ErrorCode::invalid_argument,
              "unknown layout \"" + std::string(text) + "\", known: " + known);
}

}  // namespace streamattn
