// What `run` says of how right a result is.
#pragma once

#include <llvm/Support/JSON.h>
#include <llvm/Support/raw_ostream.h>

#include <string>

#include "measure/backward_accuracy.h"

namespace streamattn {

/// Lines: what was checked, and errors beside those of plain attention in the problem's `dtype`.
void print(const Accuracy& accuracy, DType dtype, llvm::raw_ostream& out);
void print(const BackwardAccuracy& accuracy, DType dtype, llvm::raw_ostream& out);

/// "ok", or "WRONG: " and why.
std::string verdict(const Accuracy& accuracy);
std::string verdict(const BackwardAccuracy& accuracy);

/// Adds the same to `json`.
void add_to(llvm::json::Object& json, const Accuracy& accuracy);
void add_to(llvm::json::Object& json, const BackwardAccuracy& accuracy);

}  // namespace streamattn
