// Calls and timings as JSON.
#include "tools/call_json.h"

#include <cmath>

#include "autotune/case_json.h"
#include "tools/move_flags.h"

namespace streamattn {
llvm::json::Object to_json(const ForwardCase& call) {
  llvm::json::Object json = to_json(call.problem);
  json["op"] = llvm::StringRef(name(call.operation));
  json["batch"] = call.shape.batch, json["heads"] = call.heads();
  json["kv_heads"] = call.shape.kv_heads, json["q_len"] = call.shape.q_len;
  json["kv_len"] = call.shape.kv_len, json["layout"] = name(call.layout);
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
