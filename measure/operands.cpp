// Allocates and fills the tensors of a call.
#include "measure/operands.h"

namespace streamattn {
namespace {

struct Sizes {
  std::size_t q, k, v, o, lse;  // bytes
};

Sizes sizes(const Call& call) {
  const std::size_t q_rows = call.shape.batch * call.shape.q_len * call.heads();
  const std::size_t kv_rows = call.shape.batch * call.shape.kv_len * call.shape.kv_heads;
  const std::size_t element = bytes(call.problem.dtype);
  return {.q = q_rows * call.problem.head_dim * element,
          .k = kv_rows * call.problem.head_dim * element,
          .v = kv_rows * call.problem.v_head_dim() * element,
          .o = q_rows * call.problem.v_head_dim() * bytes(call.problem.output_dtype()),
          .lse = q_rows * sizeof(float)};
}

ForwardArgs arguments(const Call& call, void* q, void* k, void* v, void* o, void* lse) {
  const Problem& problem = call.problem;
  const Shape& shape = call.shape;
  const auto dense = [&](void* data, DType type, std::int64_t seq, std::int64_t heads, int dim) {
    return call.layout == DenseLayout::bshd
               ? Tensor::bshd(data, type, shape.batch, seq, heads, dim)
               : Tensor::bhsd(data, type, shape.batch, heads, seq, dim);
  };
  return {.q = dense(q, problem.dtype, shape.q_len, call.heads(), problem.head_dim),
          .k = dense(k, problem.dtype, shape.kv_len, shape.kv_heads, problem.head_dim),
          .v = dense(v, problem.dtype, shape.kv_len, shape.kv_heads, problem.v_head_dim()),
          .o = dense(o, problem.output_dtype(), shape.q_len, call.heads(), problem.v_head_dim()),
          .lse = dense(lse, DType::f32, shape.q_len, call.heads(), 1),
          .scale = call.scale,
          .q_offset = call.q_offset,
          .k_offset = call.k_offset,
          .q_rows = call.q_rows,
          .kv_rows = call.kv_rows,
          .max_sms = call.max_sms};
}

Memory uploaded(Workbench& bench, const std::vector<std::byte>& content) {
  Memory memory = bench.allocate(content.size());
  bench.upload(memory.get(), content.data(), content.size());
  return memory;
}

// All bits set is a NaN in every element type.
Memory poisoned(Workbench& bench, std::size_t bytes) {
  Memory memory = bench.allocate(bytes);
  bench.fill(memory.get(), 0xFF, bytes);
  return memory;
}

}  // namespace

HostTensors random_inputs(const Call& call, Distribution distribution, std::uint64_t seed) {
  const Sizes size = sizes(call);
  const auto random = [&](std::size_t count, std::uint64_t stream) {
    std::vector<std::byte> content(count);
    fill_random(content.data(), call.problem.dtype, count / bytes(call.problem.dtype),
                3 * seed + stream, distribution);
    return content;
  };
  return {.q = random(size.q, 0), .k = random(size.k, 1), .v = random(size.v, 2)};
}

ForwardArgs host_args(const Call& call, HostTensors& tensors) {
  return arguments(call, tensors.q.data(), tensors.k.data(), tensors.v.data(), tensors.o.data(),
                   tensors.lse.data());
}

Operands::Operands(const Call& call, const HostTensors& inputs, Workbench& bench)
    : bench_(bench),
      o_bytes_(sizes(call).o),
      lse_bytes_(sizes(call).lse),
      q_(uploaded(bench, inputs.q)),
      k_(uploaded(bench, inputs.k)),
      v_(uploaded(bench, inputs.v)),
      o_(poisoned(bench, o_bytes_)),
      lse_(poisoned(bench, lse_bytes_)),
      args_(arguments(call, q_.get(), k_.get(), v_.get(), o_.get(), lse_.get())) {}

Enqueue Operands::launch_of(const ForwardKernel& kernel) const {
  ForwardArgs args = args_;
  const std::size_t bytes = kernel.workspace_bytes(args);
  const Memory workspace = poisoned(bench_, bytes);
  args.workspace = {workspace.get(), bytes};
  return [&kernel, args, workspace](Stream stream) { kernel.launch(args, stream); };
}

void Operands::download_outputs(HostTensors& tensors) const {
  tensors.o.resize(o_bytes_);
  tensors.lse.resize(lse_bytes_);
  bench_.download(tensors.o.data(), o_.get(), o_bytes_);
  bench_.download(tensors.lse.data(), lse_.get(), lse_bytes_);
}

}  // namespace streamattn
