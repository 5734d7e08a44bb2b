// Calls and timings as JSON.
#include "tools/call_json.h"

#include <cmath>

#include "compiler/problem_fields.h"
#include "tools/move_flags.h"

namespace streamattn {
namespace {

llvm::json::Value json_of(int number) { return number; }
llvm::json::Value json_of(bool flag) { return flag; }
llvm::json::Value json_of(SequenceLayout layout) { return llvm::StringRef(name(layout)); }
llvm::json::Value json_of(DType type) { return llvm::StringRef(name(type)); }
llvm::json::Value json_of(const Expr& expression) { return expression.text(); }
llvm::json::Value json_of(const std::optional<Expr>& expression) {
  return expression ? json_of(*expression) : llvm::json::Value(nullptr);
}

}  // namespace

llvm::json::Object to_json(const ForwardCase& call) {
  llvm::json::Object json{{"op", llvm::StringRef(name(call.operation))},
                          {"batch", call.shape.batch},
                          {"heads", call.heads()},
                          {"kv_heads", call.shape.kv_heads},
                          {"q_len", call.shape.q_len},
                          {"kv_len", call.shape.kv_len},
                          {"layout", name(call.layout)}};
  for_each_problem_field([&](const auto& field) {
    json[llvm::StringRef(field.name)] = json_of(field.value(call.problem));
  });
  llvm::json::Object scalars, tensors;
  for (const NamedNumber& scalar : call.scalars) scalars[scalar.name] = scalar.value;
  for (const NamedInput& tensor : call.tensors)
    tensors[tensor.name] = llvm::StringRef(describe(tensor)).split(" = ").second.str();
  if (!call.lengths.kv.empty()) json["lengths"] = llvm::json::Array(call.lengths.kv);
  if (!call.lengths.q.empty()) json["q_lengths"] = llvm::json::Array(call.lengths.q);
  if (call.problem.kv_layout == SequenceLayout::paged) json["page_size"] = call.lengths.page_size;
  if (!scalars.empty()) json["scalars"] = std::move(scalars);
  if (!tensors.empty()) json["tensors"] = std::move(tensors);
  return json;
}

llvm::json::Object to_json(const Timing& timing, double flops, double bytes) {
  llvm::json::Object json{{"milliseconds", timing.milliseconds},
                          {"spread", timing.spread},
                          {"rounds", llvm::json::Array(timing.rounds)}};
  if (bytes > 0)
    json["gb_per_second"] = gigabytes_per_second(bytes, timing.milliseconds);
  else
    json["tflops"] = tflops(flops, timing.milliseconds);
  return json;
}

llvm::json::Value finite_or_null(double value) {
  return std::isfinite(value) ? llvm::json::Value(value) : llvm::json::Value(nullptr);
}

}  // namespace streamattn
