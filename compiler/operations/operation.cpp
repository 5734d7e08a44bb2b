// Names of operations.
#include "streamattn/operation.h"

#include <string>

#include "streamattn/error.h"

namespace streamattn {
namespace {

constexpr Operation operations[] = {Operation::forward, Operation::backward};

}  // namespace

std::string_view name(Operation operation) {
  switch (operation) {
    case Operation::forward:
      return "forward";
    case Operation::backward:
      return "backward";
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
