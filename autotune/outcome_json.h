// Outcomes of steps, and where they were found, as JSON: lines of journals, answers of workers.
#pragma once

#include <llvm/Support/JSON.h>

#include "autotune/tune_device.h"

namespace streamattn {

llvm::json::Object to_json(const BuildOutcome& outcome);
llvm::json::Object to_json(const CheckOutcome& outcome);
llvm::json::Object to_json(const TimeOutcome& outcome);

/// The inverse; what is missing keeps its default. Throws Error (invalid_argument) for an unknown
/// fate.
void read_json(const llvm::json::Object& json, BuildOutcome& outcome);
void read_json(const llvm::json::Object& json, CheckOutcome& outcome);
void read_json(const llvm::json::Object& json, TimeOutcome& outcome);

llvm::json::Object to_json(const TuneSite& site);
TuneSite read_site(const llvm::json::Object& json);

}  // namespace streamattn
