// Names of operations.
#include "streamattn/operation.h"

#include "compiler/enum_names.h"

namespace streamattn {
namespace {

// In the order of the enumerators, which index it.
constexpr std::string_view names[] = {"forward", "backward", "append", "merge"};

}  // namespace

std::string_view name(Operation operation) { return names[static_cast<int>(operation)]; }

Operation parse_operation(std::string_view text) {
  return parse_enumerator<Operation>("operation", names, text);
}

}  // namespace streamattn
