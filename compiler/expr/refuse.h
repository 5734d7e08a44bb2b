// How expressions are refused.
#pragma once

#include <llvm/Support/FormatVariadic.h>

#include <optional>
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

/// What `make` returns; nothing where an expression on the way would leave its bounds, or a
/// constant 32 bits.
template <class Make>
auto unless_refused(const Make& make) -> std::optional<decltype(make())> {
  try {
    return make();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_problem) throw;
    return {};
  }
}

}  // namespace streamattn
