// What `run` says of how right a result is.
#pragma once

#include <llvm/Support/JSON.h>
#include <llvm/Support/raw_ostream.h>

#include <string>

#include "measure/append_accuracy.h"
#include "measure/backward_accuracy.h"
#include "measure/merge_case.h"

namespace streamattn {

/// Lines: what was checked, and errors beside those of plain attention in the problem's `dtype`.
void print(const Accuracy& accuracy, DType dtype, llvm::raw_ostream& out);
void print(const BackwardAccuracy& accuracy, DType dtype, llvm::raw_ostream& out);
void print(const AppendAccuracy& accuracy, DType dtype, llvm::raw_ostream& out);
void print(const MergeAccuracy& accuracy, DType dtype, llvm::raw_ostream& out);

/// "ok", or "WRONG: " and why.
std::string verdict(const Accuracy& accuracy);
std::string verdict(const BackwardAccuracy& accuracy);
std::string verdict(const AppendAccuracy& accuracy);
std::string verdict(const MergeAccuracy& accuracy);

/// Adds the same to `json`.
void add_to(llvm::json::Object& json, const Accuracy& accuracy);
void add_to(llvm::json::Object& json, const BackwardAccuracy& accuracy);
void add_to(llvm::json::Object& json, const AppendAccuracy& accuracy);
void add_to(llvm::json::Object& json, const MergeAccuracy& accuracy);

}  // namespace streamattn
