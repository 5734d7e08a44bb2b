// Names of layouts of sequences.
#include "streamattn/sequences.h"

#include "compiler/enum_names.h"

namespace streamattn {
namespace {

// In the order of the enumerators, which index it.
constexpr std::string_view names[] = {"dense", "packed", "paged"};

}  // namespace

std::string_view name(SequenceLayout layout) { return names[static_cast<int>(layout)]; }

SequenceLayout parse_sequence_layout(std::string_view text) {
  return parse_enumerator<SequenceLayout>("layout", names, text);
}

}  // namespace streamattn
