// Copies the tensors of an append case to a workbench and back.
#include "measure/append_operands.h"

namespace streamattn {

AppendOperands::AppendOperands(const AppendTensors& tensors, Workbench& bench)
    : bench_(bench),
      new_k_(uploaded(bench, tensors.new_k)),
      new_v_(uploaded(bench, tensors.new_v)),
      q_(uploaded(bench, tensors.q)),
      k_(uploaded(bench, tensors.k)),
      v_(uploaded(bench, tensors.v)),
      rotated_q_(uploaded(bench, tensors.rotated_q)),
      cos_(uploaded(bench, tensors.cos)),
      sin_(uploaded(bench, tensors.sin)),
      args_(tensors.args()) {
  args_.new_k = tensors.new_k.view_at(new_k_.get());
  args_.new_v = tensors.new_v.view_at(new_v_.get());
  args_.k = tensors.k.view_at(k_.get());
  args_.v = tensors.v.view_at(v_.get());
  if (args_.q.data != nullptr) {
    args_.q = tensors.q.view_at(q_.get());
    args_.rotated_q = tensors.rotated_q.view_at(rotated_q_.get());
  }
  if (args_.rope.cos.data != nullptr) {
    args_.rope.cos = tensors.cos.view_at(cos_.get());
    args_.rope.sin = tensors.sin.view_at(sin_.get());
  }
  arrays_ = upload_arrays(args_.sequences, bench);
}

void AppendOperands::download_outputs(AppendTensors& tensors) const {
  download(bench_, k_, tensors.k);
  download(bench_, v_, tensors.v);
  download(bench_, rotated_q_, tensors.rotated_q);
}

void run_once(const AppendKernel& kernel, AppendTensors& tensors, Workbench& bench) {
  const AppendOperands operands(tensors, bench);
  bench.run(operands.launch_of(kernel));
  operands.download_outputs(tensors);
}

}  // namespace streamattn
