// Compares what is given with what a problem names.
#include "compiler/operations/named_args.h"

#include <llvm/Support/FormatVariadic.h>
#include <llvm/Support/MathExtras.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "compiler/expr/build.h"
#include "streamattn/error.h"
#include "support/did_you_mean.h"

namespace streamattn {
namespace {

constexpr double largest_scalar = 1 << 30;  // sums of a scalar and a position fit 32 bits
constexpr std::int64_t largest_size = std::numeric_limits<int>::max();
constexpr std::int64_t largest_extent = std::int64_t{1} << 60;  // elements

template <typename... Values>
[[noreturn]] void refuse(const char* format, Values&&... values) {
  throw Error(ErrorCode::invalid_argument,
              llvm::formatv(format, std::forward<Values>(values)...).str());
}

template <class List>
auto find(const List& list, std::string_view name) {
  return std::ranges::find_if(list, [&](const auto& item) {
    if constexpr (requires { item.name.name; })
      return item.name.name == name;
    else
      return item.name == name;
  });
}

/// Each name is given once, and nothing else.
template <class Given, class Wanted, class Others>
void check_names(std::string_view kind, std::string_view other_kind, const Given& given,
                 const Wanted& wanted, const Others& others) {
  for (auto item = given.begin(); item != given.end(); ++item) {
    if (find(wanted, item->name) == wanted.end()) {
      if (find(others, item->name) != others.end())
        refuse("\"{0}\" is given as a {1}, the problem names a {2}", item->name, kind, other_kind);
      std::vector<std::string_view> known;
      for (const auto& need : wanted) known.push_back(need.name.name);
      if (known.empty()) refuse("{0} \"{1}\": the problem names no {0}", kind, item->name);
      refuse("{0} \"{1}\": the problem names no such {0}, {2}", kind, item->name,
             did_you_mean(item->name, known));
    }
    if (find(std::ranges::subrange(given.begin(), item), item->name) != item)
      refuse("{0} \"{1}\" is given twice", kind, item->name);
  }
  for (const auto& need : wanted)
    if (find(given, need.name.name) == given.end())
      refuse("{0} \"{1}\" is missing, the problem names it", kind, need.name.name);
}

void check_scalar(const ScalarArg& scalar, DType type, bool is_divisor) {
  const double value = scalar.value;
  if (type == DType::f32) {
    if (std::isfinite(value) && !std::isfinite(static_cast<float>(value)))
      refuse("scalar \"{0}\": is {1:e}, does not fit float32", scalar.name, value);
    return;
  }
  if (!(std::abs(value) <= largest_scalar) || value != std::trunc(value))
    refuse("scalar \"{0}\": is {1:f}, needs a whole number within +-2^30 (i32)", scalar.name,
           value);
  if (is_divisor && value <= 0)
    refuse("scalar \"{0}\": is {1:f0}, must be positive (it divides)", scalar.name, value);
}

/// Sizes and strides. `kind` is "tensor", or what it is of one.
void check_extent(const char* kind, const TensorArg& tensor) {
  std::int64_t extent = 1;
  for (int d = 0; d < tensor.rank; d++) {
    const std::int64_t size = tensor.sizes[d], stride = tensor.strides[d];
    if (size < 0 || size > largest_size)
      refuse("{0} \"{1}\": size {2} is {3}, needs 0 to 2^31 - 1", kind, tensor.name, d, size);
    std::int64_t part = 0;
    if (size <= 1) continue;
    if (stride == std::numeric_limits<std::int64_t>::min() ||
        llvm::MulOverflow(size - 1, std::abs(stride), part) ||
        llvm::AddOverflow(extent, part, extent) || extent >= largest_extent)
      refuse("{0} \"{1}\": its strides span more than 2^62 bytes", kind, tensor.name);
  }
}

/// Type, rank, sizes and strides, without what indices need.
void check_view(const TensorArg& tensor, const ExprName& name) {
  if (tensor.dtype != name.dtype)
    refuse("tensor \"{0}\": dtype is {1}, needs {2}", name.name, streamattn::name(tensor.dtype),
           streamattn::name(name.dtype));
  if (tensor.rank != name.rank)
    refuse("tensor \"{0}\": rank is {1}, needs {2} (its indices)", name.name, tensor.rank,
           name.rank);
  check_extent("tensor", tensor);
}

void check_count(const TensorArg& tensor, int dimension, std::string_view variable,
                 std::int64_t needed, std::string_view origin) {
  if (tensor.sizes[dimension] < needed)
    refuse("tensor \"{0}\": size {1} is {2}, needs {3} ({4}: it is indexed by {5})", tensor.name,
           dimension, tensor.sizes[dimension], needed, origin, variable);
}

void check_positions(const TensorArg& tensor, int dimension, std::string_view variable,
                     const Rows& positions) {
  if (positions.begin >= positions.end) return;
  if (positions.begin < 0 || positions.end > tensor.sizes[dimension])
    refuse("tensor \"{0}\": size {1} is {2}, needs positions {3} to {4} (it is indexed by {5})",
           tensor.name, dimension, tensor.sizes[dimension], positions.begin, positions.end - 1,
           variable);
}

void check_reach(const TensorArg& tensor, int dimension, std::uint32_t variables,
                 const NameNeeds::Reach& reach) {
  const auto indexed_by = [&](Variable variable) {
    return (variables >> static_cast<int>(variable) & 1) != 0;
  };
  if (indexed_by(Variable::batch))
    check_count(tensor, dimension, "batch", reach.batch, "batch of q");
  if (indexed_by(Variable::head)) check_count(tensor, dimension, "head", reach.heads, "heads of q");
  if (indexed_by(Variable::kv_head))
    check_count(tensor, dimension, "kv_head", reach.kv_heads, "heads of k");
  if (indexed_by(Variable::q)) check_positions(tensor, dimension, "q", reach.q);
  if (indexed_by(Variable::k)) check_positions(tensor, dimension, "k", reach.k);
}

bool has_elements(const TensorArg& tensor) {
  return std::ranges::count(tensor.sizes.begin(), tensor.sizes.begin() + tensor.rank, 0) == 0;
}

}  // namespace

NameNeeds::NameNeeds(const Problem& problem) {
  const ExprNames names(problem);
  for (const ExprName& name : names.scalars) scalars_.push_back({name, false});
  for (const ExprName& name : names.tensors) tensors_.push_back({name, {}});
  if (names.scalars.empty() && names.tensors.empty()) return;
  const auto note = [&](const Expr& part) {
    const ExprNode& node = part.node();
    if (node.op == ExprOp::floor_divide || node.op == ExprOp::modulo) {
      const ExprNode& divisor = node.operands[1].node();
      if (divisor.op == ExprOp::scalar) scalars_[names.index_of(divisor)].is_divisor = true;
    }
    if (node.op != ExprOp::element) return;
    for (std::size_t d = 0; d < node.operands.size(); d++) {
      const ExprNode& index = node.operands[d].node();
      if (index.op == ExprOp::variable)
        tensors_[names.index_of(node)].variables[d] |= 1U << static_cast<int>(index.variable);
    }
  };
  for_each_node(problem.mask, note);
  for_each_node(problem.score, note);
  if (problem.sink) for_each_node(*problem.sink, note);
}

void NameNeeds::check_all(std::span<const ScalarArg> scalars, std::span<const TensorArg> tensors,
                          const Reach& reach) const {
  check_names("scalar", "tensor", scalars, scalars_, tensors_);
  check_names("tensor", "scalar", tensors, tensors_, scalars_);
  for (const Scalar& need : scalars_)
    check_scalar(*find(scalars, need.name.name), need.name.dtype, need.is_divisor);
  for (const Tensor& need : tensors_) {
    const TensorArg& tensor = *find(tensors, need.name.name);
    check_view(tensor, need.name);
    for (int d = 0; d < tensor.rank; d++) check_reach(tensor, d, need.variables[d], reach);
  }
}

void NameNeeds::check_memory(std::span<const TensorArg> tensors, const char* kind) {
  for (const TensorArg& tensor : tensors) {
    if (!has_elements(tensor)) continue;
    if (tensor.data == nullptr) refuse("{0} \"{1}\": data is null", kind, tensor.name);
    const auto address = reinterpret_cast<std::uintptr_t>(tensor.data);
    if ((address & (bytes(tensor.dtype) - 1)) != 0)
      refuse("{0} \"{1}\": data is at {2:x}, needs a multiple of {3}", kind, tensor.name, address,
             bytes(tensor.dtype));
  }
}

void NameNeeds::check_gradients(std::span<const TensorGradient> gradients,
                                std::span<const TensorArg> tensors) const {
  for (auto gradient = gradients.begin(); gradient != gradients.end(); ++gradient) {
    const auto need = find(tensors_, gradient->name);
    if (need == tensors_.end())
      refuse("gradient of tensor \"{0}\": the problem names no such tensor", gradient->name);
    if (need->name.dtype == DType::i32 || need->name.dtype == DType::u8)
      refuse("gradient of tensor \"{0}\": is {1}, only tensors of reals have one", gradient->name,
             name(need->name.dtype));
    if (find(std::ranges::subrange(gradients.begin(), gradient), gradient->name) != gradient)
      refuse("gradient of tensor \"{0}\": is given twice", gradient->name);
    TensorArg view = *find(tensors, gradient->name);
    view.strides = gradient->strides;
    check_extent("gradient of tensor", view);
  }
}

std::size_t NameNeeds::tensor_index(std::string_view name) const {
  return static_cast<std::size_t>(find(tensors_, name) - tensors_.begin());
}

NamedValues NameNeeds::values(std::span<const ScalarArg> scalars,
                              std::span<const TensorArg> tensors) const {
  NamedValues values = {};
  for (std::size_t i = 0; i < scalars_.size(); i++) {
    const double value = find(scalars, scalars_[i].name.name)->value;
    values.scalars[i] = scalars_[i].name.dtype == DType::f32
                            ? std::bit_cast<int>(static_cast<float>(value))
                            : static_cast<int>(value);
  }
  for (std::size_t i = 0; i < tensors_.size(); i++) {
    const TensorArg& tensor = *find(tensors, tensors_[i].name.name);
    NamedTensor& to = values.tensors[i];
    to.data = tensor.data;
    for (int d = 0; d < tensor.rank; d++) {
      to.strides[d] = tensor.strides[d];
      to.sizes[d] = static_cast<int>(tensor.sizes[d]);
    }
  }
  return values;
}

}  // namespace streamattn
