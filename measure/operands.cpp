// Copies the tensors of a case to a workbench and back.
#include "measure/operands.h"

#include <algorithm>

#include "compiler/operations/forward/call.h"

namespace streamattn {

Memory uploaded(Workbench& bench, const HostTensor& tensor) {
  Memory memory = bench.allocate(tensor.bytes().size());
  bench.upload(memory.get(), tensor.bytes().data(), tensor.bytes().size());
  return memory;
}

void download(Workbench& bench, const Memory& memory, HostTensor& tensor) {
  bench.download(tensor.bytes().data(), memory.get(), tensor.bytes().size());
}

std::vector<Memory> upload_arrays(Sequences& sequences, Workbench& bench) {
  std::vector<Memory> arrays;
  visit_sequence_arrays(sequences, [&](const TensorArg& array, const std::int32_t*& at) {
    const std::int64_t elements = (array.sizes[0] - 1) * array.strides[0] + array.sizes[1];
    const auto bytes = static_cast<std::size_t>(std::max<std::int64_t>(elements, 0)) * sizeof(*at);
    arrays.push_back(bench.allocate(bytes));
    bench.upload(arrays.back().get(), at, bytes);
    at = static_cast<const std::int32_t*>(arrays.back().get());
  });
  return arrays;
}

Memory poisoned_workspace(Workbench& bench, std::size_t bytes) {
  Memory workspace = bench.allocate(bytes);
  bench.fill(workspace.get(), 0xFF, bytes);  // a NaN in every element type
  return workspace;
}

Enqueue with_workspace(const ForwardKernel& kernel, const ForwardArgs& args, Workbench& bench) {
  const std::size_t bytes = kernel.workspace_bytes(args);
  const Memory workspace = poisoned_workspace(bench, bytes);
  ForwardArgs complete = args;
  complete.workspace = {workspace.get(), bytes};
  return [&kernel, complete, workspace](Stream stream) { kernel.launch(complete, stream); };
}

Operands::Operands(const ForwardTensors& tensors, Workbench& bench)
    : bench_(bench),
      q_(uploaded(bench, tensors.q)),
      k_(uploaded(bench, tensors.k)),
      v_(uploaded(bench, tensors.v)),
      o_(uploaded(bench, tensors.o)),
      lse_(uploaded(bench, tensors.lse)),
      o_bytes_(tensors.o.bytes().size()),
      lse_bytes_(tensors.lse.bytes().size()),
      args_(tensors.args()) {
  args_.q = tensors.q.view_at(q_.get());
  args_.k = tensors.k.view_at(k_.get());
  args_.v = tensors.v.view_at(v_.get());
  args_.o = tensors.o.view_at(o_.get());
  if (args_.lse.data != nullptr) args_.lse = tensors.lse.view_at(lse_.get());

  const auto scalars = tensors.named.scalars();
  const auto named = tensors.named.tensors();
  names_.reserve(scalars.size() + named.size());
  for (const ScalarArg& scalar : scalars)
    scalars_.push_back({names_.emplace_back(scalar.name), scalar.value});
  for (TensorArg tensor : named) {
    std::size_t bytes = streamattn::bytes(tensor.dtype);
    for (int d = 0; d < tensor.rank; d++) bytes *= tensor.sizes[d];  // they are dense
    named_.push_back(bench.allocate(bytes));
    bench.upload(named_.back().get(), tensor.data, bytes);
    tensor.name = names_.emplace_back(tensor.name);
    tensor.data = named_.back().get();
    tensors_.push_back(tensor);
  }
  args_.scalars = scalars_, args_.tensors = tensors_;

  arrays_ = upload_arrays(args_.sequences, bench);
}

void Operands::poison_outputs() const {
  bench_.fill(o_.get(), std::to_integer<unsigned char>(HostTensor::poison_byte), o_bytes_);
  bench_.fill(lse_.get(), std::to_integer<unsigned char>(HostTensor::poison_byte), lse_bytes_);
}

void Operands::download_outputs(ForwardTensors& tensors) const {
  download(bench_, o_, tensors.o);
  download(bench_, lse_, tensors.lse);
}

void run_once(const ForwardKernel& kernel, ForwardTensors& tensors, Workbench& bench) {
  const Operands operands(tensors, bench);
  bench.run(operands.launch_of(kernel));
  operands.download_outputs(tensors);
}

}  // namespace streamattn
