// Accuracy as text and as JSON.
#include "tools/accuracy_report.h"

#include <llvm/Support/FormatVariadic.h>

#include "tools/call_json.h"

namespace streamattn {

void print(const Accuracy& accuracy, DType dtype, llvm::raw_ostream& out) {
  const Errors& errors = accuracy.errors;
  out << llvm::formatv("checked  {0} of {1} rows against float64\n", accuracy.checked_rows,
                       accuracy.rows);
  out << llvm::formatv("error    {0:e2} relative L2; plain {1} attention has {2:e2}\n", errors.o,
                       name(dtype), errors.plain_o);
  out << llvm::formatv("LSE      {0:e2} largest error; plain attention has {1:e2}\n", errors.lse,
                       errors.plain_lse);
}

void print(const BackwardAccuracy& accuracy, DType dtype, llvm::raw_ostream& out) {
  out << llvm::formatv(
      "checked  {0} of {1} rows of d_q, {2} of {3} of d_k and d_v against float64\n",
      accuracy.checked_rows, accuracy.rows, accuracy.checked_keys, accuracy.keys);
  for (const auto& [tensor, error, plain, allowed] : accuracy.errors)
    out << llvm::formatv(
        "{0,-8} {1:e2} relative L2; plain {2} attention differentiated has {3:e2}\n", tensor, error,
        name(dtype), plain);
}

void print(const AppendAccuracy& accuracy, DType /*dtype*/, llvm::raw_ostream& out) {
  out << llvm::formatv("checked  all of {0} rows, copied columns bit by bit\n", accuracy.rows);
  out << llvm::formatv("error    {0:f2} of what rounding allows turned columns\n", accuracy.error);
}

void print(const MergeAccuracy& accuracy, DType /*dtype*/, llvm::raw_ostream& out) {
  out << llvm::formatv("checked  all of {0} rows against float64\n", accuracy.rows);
  out << llvm::formatv("error    {0:f2} of what rounding allows\n", accuracy.o);
  out << llvm::formatv("LSE      {0:f2} of what rounding allows\n", accuracy.lse);
}

std::string verdict(const Accuracy& accuracy) {
  if (accuracy.ok()) return "ok";
  if (accuracy.nan_rows > 0)
    return llvm::formatv("WRONG: {0} rows have a NaN or were not written", accuracy.nan_rows);
  if (!accuracy.untouched) return "WRONG: memory beside the rows was written";
  return "WRONG: an error is more than twice that of plain attention";
}

std::string verdict(const BackwardAccuracy& accuracy) {
  if (accuracy.ok()) return "ok";
  for (const GradientError& error : accuracy.errors)
    if (!error.ok())
      return llvm::formatv("WRONG: the error of {0} is {1:e2}, allowed is {2:e2}", error.name,
                           error.error, error.allowed);
  return "WRONG: memory beside the rows was written";
}

std::string verdict(const AppendAccuracy& accuracy) {
  if (accuracy.ok()) return "ok";
  if (accuracy.wrong_copies > 0)
    return llvm::formatv("WRONG: {0} columns are no copies", accuracy.wrong_copies);
  if (!accuracy.untouched) return "WRONG: memory beside the rows was written";
  return "WRONG: a turned column is further off than rounding allows";
}

std::string verdict(const MergeAccuracy& accuracy) {
  if (accuracy.ok()) return "ok";
  if (!accuracy.untouched) return "WRONG: memory beside the rows was written";
  return "WRONG: a row is further off than rounding allows";
}

void add_to(llvm::json::Object& json, const AppendAccuracy& accuracy) {
  json["ok"] = accuracy.ok();
  json["rows"] = accuracy.rows;
  json["wrong_copies"] = accuracy.wrong_copies;
  json["error_over_allowed"] = finite_or_null(accuracy.error);
}

void add_to(llvm::json::Object& json, const MergeAccuracy& accuracy) {
  json["ok"] = accuracy.ok();
  json["rows"] = accuracy.rows;
  json["error_over_allowed"] = finite_or_null(accuracy.o);
  json["lse_error_over_allowed"] = finite_or_null(accuracy.lse);
}

void add_to(llvm::json::Object& json, const Accuracy& accuracy) {
  const Errors& errors = accuracy.errors;
  json["ok"] = accuracy.ok();
  json["rows"] = accuracy.rows;
  json["checked_rows"] = accuracy.checked_rows;
  json["nan_rows"] = accuracy.nan_rows;
  json["error"] = finite_or_null(errors.o);
  json["plain_error"] = errors.plain_o;
  json["lse_error"] = finite_or_null(errors.lse);
  json["plain_lse_error"] = errors.plain_lse;
}

void add_to(llvm::json::Object& json, const BackwardAccuracy& accuracy) {
  json["ok"] = accuracy.ok();
  json["rows"] = accuracy.rows;
  json["checked_rows"] = accuracy.checked_rows;
  json["keys"] = accuracy.keys;
  json["checked_keys"] = accuracy.checked_keys;
  llvm::json::Object errors;
  for (const auto& [tensor, error, plain, allowed] : accuracy.errors)
    errors[tensor] = llvm::json::Object{
        {"error", finite_or_null(error)}, {"plain_error", plain}, {"allowed", allowed}};
  json["errors"] = std::move(errors);
}

}  // namespace streamattn
