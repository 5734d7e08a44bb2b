// How expressions are refused.
#pragma once

#include <llvm/Support/FormatVariadic.h>

#include <string>
#include <string_view>
#include <utility>

#include "streamattn/error.h"
#include "streamattn/expr.h"

namespace streamattn {

/// Throws Error (invalid_problem): "expression: " and the message.
template <class... Values>
[[noreturn]] void refuse(const char* format, Values&&... values) {
  throw Error(ErrorCode::invalid_problem,
              "expression: " + llvm::formatv(format, std::forward<Values>(values)...).str());
}

/// Its text, or the beginning of a long one: for messages.
std::string abbreviated(const Expr& expr);

/// Throws where `operand` of the operator `what` is not an integer.
void require_integer(std::string_view what, const Expr& operand);

}  // namespace streamattn
