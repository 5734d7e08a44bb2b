// What every backward launch checks before it touches memory.
#include "compiler/operations/backward/check.h"

#include <llvm/ADT/SmallVector.h>

#include <algorithm>

#include "compiler/operations/backward/call.h"
#include "compiler/operations/forward/check.h"
#include "compiler/operations/forward/check_sequences.h"
#include "compiler/operations/tensor_checks.h"

namespace streamattn {
namespace {

void check_gradient_type(std::string_view tensor, DType found, const BackwardArgs& args,
                         const Problem& problem) {
  if (found == DType::f32) return;
  if (args.accumulate) check_type(tensor, found, DType::f32, "gradients accumulate");
  if (found != problem.dtype)
    refuse_argument("{0}: dtype is {1}, needs {2} or f32", tensor, name(found),
                    name(problem.dtype));
}

void check_lse(const BackwardArgs& args) {
  const Tensor& lse = args.lse;
  check_type("lse", lse.dtype, DType::f32, "natural logarithms");
  check_dimensions("lse", {{"batch", lse.batch, args.q.batch, "batch of q"},
                           {"seq", lse.seq, args.q.seq, "seq of q"},
                           {"heads", lse.heads, args.q.heads, "heads of q"},
                           {"dim", lse.dim, 1, "one value a row"}});
}

/// `like` is called `origin`, and has the sizes that the tensor needs.
void check_like(std::string_view tensor, const Tensor& found, const Tensor& like,
                std::string_view origin) {
  check_dimensions(tensor, {{"batch", found.batch, like.batch, origin},
                            {"seq", found.seq, like.seq, origin},
                            {"heads", found.heads, like.heads, origin},
                            {"dim", found.dim, like.dim, origin}});
}

/// Gradients of named tensors, as tensors.
llvm::SmallVector<TensorArg, NamedValues::most_tensors> gradient_tensors(const BackwardArgs& args) {
  llvm::SmallVector<TensorArg, NamedValues::most_tensors> tensors;
  for (const TensorGradient& gradient : args.gradients) {
    TensorArg tensor = *std::ranges::find(args.tensors, gradient.name, &TensorArg::name);
    tensor.data = gradient.data;
    tensor.dtype = DType::f32;
    tensor.strides = gradient.strides;
    tensors.push_back(tensor);
  }
  return tensors;
}

}  // namespace

void check_backward_sizes(const Problem& problem, const NameNeeds& names,
                          const BackwardArgs& args) {
  check_forward_sizes(problem, names, forward_part(args));
  check_lse(args);
  check_type("d_o", args.d_o.dtype, problem.output_dtype(), "out_dtype of the problem");
  check_like("d_o", args.d_o, args.o, "as o");
  check_gradient_type("d_q", args.d_q.dtype, args, problem);
  check_like("d_q", args.d_q, args.q, "as q");
  check_gradient_type("d_k", args.d_k.dtype, args, problem);
  check_like("d_k", args.d_k, args.k, "as k");
  check_gradient_type("d_v", args.d_v.dtype, args, problem);
  check_like("d_v", args.d_v, args.v, "as v");
  names.check_gradients(args.gradients, args.tensors);
}

void check_backward(const Problem& problem, const NameNeeds& names, const BackwardArgs& args) {
  check_backward_sizes(problem, names, args);
  const NamedOperand outputs[] = {{"d_q", args.d_q}, {"d_k", args.d_k}, {"d_v", args.d_v}};
  const NamedOperand inputs[] = {{"q", args.q}, {"k", args.k},     {"v", args.v},
                                 {"o", args.o}, {"lse", args.lse}, {"d_o", args.d_o}};
  for (const NamedOperand& operand : inputs) check_memory(operand);
  for (const NamedOperand& operand : outputs) check_memory(operand);
  NameNeeds::check_memory(args.tensors);
  const auto gradients = gradient_tensors(args);
  NameNeeds::check_memory(gradients, "gradient of tensor");
  const ForwardArgs forward = forward_part(args);
  check_sequence_memory(problem, forward);
  check_overlaps(outputs, inputs, sequence_arrays(problem, forward), gradients, args.tensors,
                 args.workspace);
}

void check_backward_sizes(const Problem& problem, const BackwardArgs& args) {
  check_backward_sizes(problem, NameNeeds(problem), args);
}

void check_backward(const Problem& problem, const BackwardArgs& args) {
  check_backward(problem, NameNeeds(problem), args);
}

}  // namespace streamattn
