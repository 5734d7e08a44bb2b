// What is computed of attention: its forward pass, and what comes beside it.
#pragma once

#include <string_view>

#include "streamattn/export.h"

namespace streamattn {

/// An operation has its own arguments and its own kernel type; problem, schedule and target mean
/// the same for all.
enum class Operation {
  forward,   ///< O and LSE of Q, K and V: ForwardArgs, ForwardKernel
  backward,  ///< gradients of Q, K, V and named tensors: BackwardArgs, BackwardKernel
  append,    ///< new K and V, turned by position, into a cache: AppendArgs, AppendKernel
  merge,     ///< results over shares of the keys into one: MergeArgs, MergeKernel
};

/// The name used in text, TOML and flags: "forward", "backward", "append",
/// "merge".
STREAMATTN_API std::string_view name(Operation operation);

/// The operation called `text`. Throws Error (invalid_argument) that lists the known names.
STREAMATTN_API Operation parse_operation(std::string_view text);

}  // namespace streamattn
