// Copies the tensors of a backward case to a workbench and back.
#include "measure/backward_operands.h"

namespace streamattn {

BackwardOperands::BackwardOperands(const BackwardTensors& tensors, Workbench& bench)
    : bench_(bench),
      forward_(tensors.forward, bench),
      d_o_(uploaded(bench, tensors.d_o)),
      d_q_(uploaded(bench, tensors.d_q)),
      d_k_(uploaded(bench, tensors.d_k)),
      d_v_(uploaded(bench, tensors.d_v)),
      args_(tensors.args()) {
  const ForwardArgs& forward = forward_.args();
  args_.q = forward.q, args_.k = forward.k, args_.v = forward.v;
  args_.o = forward.o, args_.lse = forward.lse;
  args_.scalars = forward.scalars, args_.tensors = forward.tensors;
  args_.sequences = forward.sequences;
  args_.d_o = tensors.d_o.view_at(d_o_.get());
  args_.d_q = tensors.d_q.view_at(d_q_.get());
  args_.d_k = tensors.d_k.view_at(d_k_.get());
  args_.d_v = tensors.d_v.view_at(d_v_.get());
  for (const auto& [name, values, strides] : tensors.elements) {
    const std::size_t bytes = values.size() * sizeof(float);
    elements_.push_back(bench.allocate(bytes));
    bench.upload(elements_.back().get(), values.data(), bytes);
    // `name` must outlive the launches: it is that of the named tensor.
    for (const TensorArg& tensor : args_.tensors)
      if (tensor.name == name)
        gradients_.push_back({tensor.name, static_cast<float*>(elements_.back().get()), strides});
  }
  args_.gradients = gradients_;
}

Enqueue BackwardOperands::launch_of(const BackwardKernel& kernel) const {
  const std::size_t bytes = kernel.workspace_bytes(args_);
  const Memory workspace = poisoned_workspace(bench_, bytes);
  BackwardArgs complete = args_;
  complete.workspace = {workspace.get(), bytes};
  return [&kernel, complete, workspace](Stream stream) { kernel.launch(complete, stream); };
}

void BackwardOperands::download_gradients(BackwardTensors& tensors) const {
  download(bench_, d_q_, tensors.d_q);
  download(bench_, d_k_, tensors.d_k);
  download(bench_, d_v_, tensors.d_v);
  for (std::size_t i = 0; i < elements_.size(); i++) {
    std::vector<float>& values = tensors.elements[i].values;
    bench_.download(values.data(), elements_[i].get(), values.size() * sizeof(float));
  }
}

void run_once(const BackwardKernel& kernel, BackwardTensors& tensors, Workbench& bench) {
  const BackwardOperands operands(tensors, bench);
  bench.run(operands.launch_of(kernel));
  operands.download_gradients(tensors);
}

}  // namespace streamattn
