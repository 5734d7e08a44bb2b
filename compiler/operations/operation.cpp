// Names of operations.
#include "streamattn/operation.h"

#include <string>

#include "streamattn/error.h"

namespace streamattn {
namespace {

constexpr Operation operations[] = {Operation::forward};

}  // namespace

std::string_view name(Operation operation) {
  switch (operation) {
    case Operation::forward:
      return "forward";
  }
  return "";
}

Operation parse_operation(std::string_view text) {
  std::string known;
  for (Operation operation : operations) {
    if (name(operation) == text) return operation;
    known += (known.empty() ? "" : ", ") + std::string(name(operation));
  }
  throw Error(ErrorCode::invalid_argument,
              "unknown operation \"" + std::string(text) + "\", known: " + known);
}

}  // namespace streamattn
