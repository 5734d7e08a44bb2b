// Calls as JSON, for processes that measure for another.
#pragma once

#include <llvm/Support/JSON.h>

#include "measure/forward_case.h"

namespace streamattn {

/// The fields of a problem by name, null for a sink that is not there.
llvm::json::Object to_json(const Problem& problem);

/// Everything that a call is: decode_case(encode_case(call)) describes itself as `call` does.
llvm::json::Object encode_case(const ForwardCase& call);

/// Throws Error (invalid_argument, invalid_problem) for what encode_case() cannot have written.
ForwardCase decode_case(const llvm::json::Object& json);

}  // namespace streamattn
