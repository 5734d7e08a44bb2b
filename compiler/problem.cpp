// Validation, equality and the canonical description of a problem.
#include "streamattn/problem.h"

#include <llvm/ADT/Hashing.h>
#include <llvm/Support/FormatVariadic.h>

#include <utility>

#include "compiler/problem_fields.h"
#include "streamattn/error.h"

namespace streamattn {
namespace {

// Far above any head there is; keeps products of two dimensions in 32 bits.
constexpr int max_dimension = 1 << 15;

// Far above any tensor there is; keeps a product of a size and a dimension in 64 bits.
constexpr std::int64_t max_size = std::int64_t{1} << 40;

void require_dimension(const char* field, int value) {
  if (value >= 1 && value <= max_dimension) return;
  throw Error(ErrorCode::invalid_problem,
              llvm::formatv("{0} {1} is not in 1..{2}", field, value, max_dimension));
}

}  // namespace

void Problem::validate() const {
  require_dimension("head_dim", head_dim);
  require_dimension("value_head_dim", v_head_dim());
  require_dimension("group_size", group_size);
  if (output_dtype() != dtype && output_dtype() != DType::f32) {
    throw Error(
        ErrorCode::invalid_problem,
        llvm::formatv("out_dtype {0} with dtype {1}: the output is of the input's type or f32",
                      name(output_dtype()), name(dtype)));
  }
}

void Shape::validate() const {
  const std::pair<const char*, std::int64_t> sizes[] = {
      {"batch", batch}, {"kv_heads", kv_heads}, {"q_len", q_len}, {"kv_len", kv_len}};
  for (const auto& [field, size] : sizes)
    if (size < 0 || size > max_size)
      throw Error(ErrorCode::invalid_argument,
                  llvm::formatv("shape: {0} is {1}, needs 0 to 2^40", field, size));
}

std::string Problem::describe() const {
  std::string value_dim;
  if (v_head_dim() != head_dim) value_dim = llvm::formatv(", value_head_dim {0}", v_head_dim());
  return llvm::formatv("{0} -> {1}, head_dim {2}{3}, group {4}; mask: {5}", name(dtype),
                       name(output_dtype()), head_dim, value_dim, group_size, mask.text());
}

bool operator==(const Problem& a, const Problem& b) {
  bool equal = true;
  for_each_problem_field(
      [&](const auto& field) { equal = equal && field.value(a) == field.value(b); });
  return equal;
}

std::size_t hash(const Problem& problem) {
  llvm::hash_code code = {};
  for_each_problem_field([&](const auto& field) {
    const auto& value = field.value(problem);
    if constexpr (std::is_same_v<decltype(value), const Expr&>)
      code = llvm::hash_combine(code, value.text());
    else
      code = llvm::hash_combine(code, value);
  });
  return code;
}

}  // namespace streamattn
