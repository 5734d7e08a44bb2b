// Calls and timings as JSON.
#include "tools/call_json.h"

#include <cmath>

namespace streamattn {

llvm::json::Object to_json(const Call& call) {
  const Problem& problem = call.problem;
  return llvm::json::Object{{"dtype", llvm::StringRef(name(problem.dtype))},
                            {"out_dtype", llvm::StringRef(name(problem.output_dtype()))},
                            {"head_dim", problem.head_dim},
                            {"value_head_dim", problem.v_head_dim()},
                            {"mask", problem.mask.text()},
                            {"batch", call.shape.batch},
                            {"heads", call.heads()},
                            {"kv_heads", call.shape.kv_heads},
                            {"q_len", call.shape.q_len},
                            {"kv_len", call.shape.kv_len},
                            {"layout", call.layout == DenseLayout::bshd ? "bshd" : "bhsd"}};
}

llvm::json::Object to_json(const Timing& timing, double flops) {
  return llvm::json::Object{{"milliseconds", timing.milliseconds},
                            {"spread", timing.spread},
                            {"tflops", tflops(flops, timing.milliseconds)},
                            {"rounds", llvm::json::Array(timing.rounds)}};
}

llvm::json::Value finite_or_null(double value) {
  return std::isfinite(value) ? llvm::json::Value(value) : llvm::json::Value(nullptr);
}

}  // namespace streamattn
