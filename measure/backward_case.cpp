// Describes a case and makes its tensors.
#include "measure/backward_case.h"

#include "compiler/operations/forward/check.h"
#include "runtime/cpu/forward.h"

namespace streamattn {
namespace {

// Of the sequences of random numbers that tensors hold, far from those of forward tensors.
constexpr std::uint64_t seeds_of_case = 16, d_o_seed = 8, d_q_seed = 9, d_k_seed = 10,
                        d_v_seed = 11, elements_seed = 12;

HostTensor like(const HostTensor& tensor, DType type, const ForwardCase& given) {
  const Tensor view = tensor.view();
  return HostTensor(type, {view.batch, view.seq, view.heads, view.dim}, given.layout, given.gap);
}

std::int64_t count_of(const TensorArg& tensor) {
  std::int64_t count = 1;
  for (int d = 0; d < tensor.rank; d++) count *= tensor.sizes[d];
  return count;
}

}  // namespace

std::string BackwardCase::describe() const {
  std::string text = "backward, " + forward.describe();
  if (gradient_dtype) text += ", gradients " + std::string(name(*gradient_dtype));
  if (accumulate) text += ", accumulate";
  return of_tensors ? text : text + ", none of tensors";
}

BackwardTensors::BackwardTensors(const BackwardCase& given)
    : forward(given.forward),
      d_o(like(forward.o, forward.o.type(), given.forward)),
      d_q(like(forward.q, given.gradient_dtype.value_or(forward.q.type()), given.forward)),
      d_k(like(forward.k, d_q.type(), given.forward)),
      d_v(like(forward.v, d_q.type(), given.forward)),
      accumulate_(given.accumulate) {
  const std::uint64_t seed = seeds_of_case * given.forward.seed;
  const SequenceInputs& sequences = forward.sequences;
  sequences.fill_queries(d_o, seed + d_o_seed, given.forward.distribution);
  if (accumulate_) {
    sequences.fill_queries(d_q, seed + d_q_seed, Distribution::normal);
    sequences.fill_keys(d_k, seed + d_k_seed, Distribution::normal);
    sequences.fill_keys(d_v, seed + d_v_seed, Distribution::normal);
  }
  if (!given.of_tensors) return;
  for (const TensorArg& tensor : forward.named.tensors()) {
    if (tensor.dtype == DType::i32 || tensor.dtype == DType::u8) continue;
    const auto count = static_cast<std::size_t>(count_of(tensor));
    Elements& added = elements.emplace_back(
        Elements{std::string(tensor.name), std::vector<float>(count, -12345), tensor.strides});
    if (accumulate_)
      fill_random(added.values.data(), DType::f32, count_of(tensor), seed + elements_seed);
  }
  for (Elements& added : elements)
    gradients_.push_back({added.name, added.values.data(), added.strides});
}

BackwardArgs BackwardTensors::args() const {
  const ForwardArgs given = forward.args();
  return {.q = given.q,
          .k = given.k,
          .v = given.v,
          .o = given.o,
          .lse = given.lse,
          .d_o = d_o.view(),
          .d_q = d_q.view(),
          .d_k = d_k.view(),
          .d_v = d_v.view(),
          .gradients = gradients_,
          .accumulate = accumulate_,
          .scale = given.scale,
          .q_offset = given.q_offset,
          .k_offset = given.k_offset,
          .q_rows = given.q_rows,
          .kv_rows = given.kv_rows,
          .scalars = given.scalars,
          .tensors = given.tensors,
          .sequences = given.sequences,
          .dropout = given.dropout,
          .max_sms = given.max_sms};
}

void compute_outputs(const BackwardCase& given, BackwardTensors& tensors) {
  const Problem& problem = given.forward.problem;
  const ForwardArgs args = tensors.forward.args();
  check_forward(problem, args);
  cpu_forward(problem, FlatProblem(problem), {.q = 96, .kv = 256}, resolve(problem, args));
}

}  // namespace streamattn
