// A call of any operation, checked and with every default applied.
#pragma once

#include <variant>

#include "compiler/operations/append/call.h"
#include "compiler/operations/backward/call.h"
#include "compiler/operations/forward/call.h"
#include "compiler/operations/merge/call.h"

namespace streamattn {

/// One alternative for every operation, in their order.
using ResolvedCall = std::variant<ForwardCall, BackwardCall, AppendCall, MergeCall>;

}  // namespace streamattn
