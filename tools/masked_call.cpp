// Resolves a call from its sizes.
#include "tools/masked_call.h"

#include <algorithm>

#include "compiler/expr/tile_policy.h"
#include "compiler/operations/forward/check.h"

namespace streamattn {
namespace {

// Of sequences that are all as long as the shape says.
Problem mask_of(const Problem& problem) {
  Problem mask = problem;
  mask.score = Problem().score;
  mask.sink.reset();
  mask.q_layout = mask.kv_layout = SequenceLayout::dense;
  mask.q_lens = mask.kv_lens = false;
  return mask;
}

/// The case with that problem, and no value that only the score or the sink names.
ForwardCase reduced(const ForwardCase& given, const Problem& problem) {
  ForwardCase mask = given;
  mask.problem = problem;
  const ExprNames names(problem);
  const auto is_unknown = [](const std::vector<ExprName>& known) {
    return [&known](const auto& value) {
      return std::ranges::find(known, value.name, &ExprName::name) == known.end();
    };
  };
  std::erase_if(mask.scalars, is_unknown(names.scalars));
  std::erase_if(mask.tensors, is_unknown(names.tensors));
  return mask;
}

/// Tensors without memory: a call is resolved from their sizes.
ForwardArgs arguments(const ForwardCase& given, const NamedInputs& named) {
  const Shape& shape = given.shape;
  const auto tensor = [&](std::int64_t rows, std::int64_t heads, int dim) {
    return Tensor::bshd(nullptr, given.problem.dtype, shape.batch, rows, heads, dim);
  };
  const int dim = given.problem.head_dim, v_dim = given.problem.v_head_dim();
  Tensor o = tensor(shape.q_len, given.heads(), v_dim);
  o.dtype = given.problem.output_dtype();
  return {.q = tensor(shape.q_len, given.heads(), dim),
          .k = tensor(shape.kv_len, shape.kv_heads, dim),
          .v = tensor(shape.kv_len, shape.kv_heads, v_dim),
          .o = o,
          .q_offset = given.q_offset,
          .k_offset = given.k_offset,
          .q_rows = given.q_rows,
          .kv_rows = given.kv_rows,
          .scalars = named.scalars(),
          .tensors = named.tensors()};
}

ForwardCall checked(const Problem& problem, const ForwardArgs& args) {
  check_forward_sizes(problem, args);
  return resolve(problem, args);
}

}  // namespace

MaskedCall::MaskedCall(const ForwardCase& given)
    : problem_(mask_of(given.problem)),
      exprs_(problem_),
      named_(named_inputs(reduced(given, problem_))),
      call_(checked(problem_, arguments(given, named_))),
      batches_(call_.batch()),
      heads_(call_.heads()) {
  const TileOwners differ = tile_owners(problem_.mask);
  if (!differ.batches) batches_ = std::min<std::int64_t>(batches_, 1);
  if (!differ.heads) heads_ = std::min<std::int64_t>(heads_, 1);
}

double MaskedCall::repeats() const {
  return static_cast<double>(call_.batch() * call_.heads()) /
         static_cast<double>(std::max<std::int64_t>(batches_ * heads_, 1));
}

}  // namespace streamattn
